"""Unheard answers with frames of their own: any order gives the same sums, each pair once."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select
from tests.unit.experiments.test_counting import HOUR_S, World

from timonel.events.frames import Fate, Frame, OutcomeFrame, PredictionFrame, ShadowFrame, encode
from timonel.events.intake import Letter
from timonel.events.outcomes import expire_parked
from timonel.events.rows import sort_letters
from timonel.events.segments import Segment
from timonel.experiments.counting.cells import read_cells
from timonel.experiments.design import Arm, Mode
from timonel.experiments.documents import look_document
from timonel.experiments.judging.look import Look, Rule, ShadowReport, Verdict
from timonel.experiments.rows import Experiment
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables import shadow_answers
from timonel.testing.builders import PROJECT, make_manifest, register_version

TREATMENT = "shadowed:treatment"


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    yield from opened(database, tmp_path)


@pytest.fixture
def on_postgres(postgres_database: str, tmp_path: Path) -> Iterator[World]:
    yield from opened(postgres_database, tmp_path)


def opened(url: str, folder: Path) -> Iterator[World]:
    engine = make_engine(url)
    ensure_project(engine, PROJECT, "America/Santiago")
    yield World(engine, folder / "spool")
    engine.dispose()


def shadowing(world: World, **changes: Any) -> Experiment:
    """Begin an experiment whose treatment is native."""
    native = make_manifest(predictor="native")
    third = register_version(world.registry, "3", recipe="third", manifest=native)
    arms = (Arm("control", version=world.versions[0]), Arm("treatment", version=third.version))
    changes = {"name": "shadowed", "mode": Mode.SHADOW, "depends_on_action": False} | changes
    return world.begin(arms=arms, **changes)


def heard(
    world: World, experiment: Experiment, says: int = 1, *, asked: bool = True, unit: str = "u"
) -> PredictionFrame:
    frame = world.answer(experiment, unit)
    return msgspec.structs.replace(frame, prediction=says, shadow_asked=asked)


def unheard(
    world: World, of: PredictionFrame, says: int = 1, fate: Fate = Fate.ANSWERED
) -> ShadowFrame:
    return ShadowFrame(
        id=world.events.id(),
        at=of.at,
        model=of.model,
        prediction=of.id,
        variant=TREATMENT,
        version="3.0.0",
        generation=of.generation,
        fate=fate.value,
        answer=says if fate is Fate.ANSWERED else None,
        score=None,
        latency_us=900,
    )


def sums(world: World) -> dict[str, int]:
    """Give the counts by metric, over all days and drainers."""
    found: Counter[str] = Counter()
    with world.engine.connect() as connection:
        for key, one in read_cells(connection, PROJECT, "shadowed").items():
            found[key.metric] += one.n
    chosen = ("shadow:", "pair:", "difference")
    return {name: n for name, n in found.items() if n and name.startswith(chosen)}


def agrees(world: World) -> bool:
    """Say whether looks and log, counted again, give what is stored."""
    replay = world.experiments.replay("shadowed")
    return replay.log is not None and replay.all_same


def story(world: World, experiment: Experiment, seed: int) -> list[Frame]:
    """Make everything that can become of a request, in no order."""
    draw = random.Random(seed)
    frames: list[Frame] = []
    for _ in range(40):
        unit = f"u{draw.randrange(12)}"
        one = heard(world, experiment, draw.randrange(2), asked=draw.random() < 0.8, unit=unit)
        frames.append(one)
        if one.shadow_asked and draw.random() < 0.9:  # else its worker was killed
            fate = draw.choice([Fate.ANSWERED] * 4 + [Fate.LATE, Fate.INVALID, Fate.FAILED])
            shadow = unheard(world, one, draw.randrange(2), fate)
            frames += [shadow] * draw.choice([1, 1, 2])  # a spool that is read again
        for nth in range(draw.choice([0, 1, 1, 2])):  # the second one is a correction, or repeats
            at = one.at + (nth + 1) * 60_000_000
            frames.append(world.events.outcome(draw.randrange(2), prediction=one.id, at=at))
    draw.shuffle(frames)
    return frames


def expected(frames: list[Frame], *, by_unit: bool) -> dict[str, int]:
    """Count from the raw events alone."""
    answers = {f.id: f for f in frames if isinstance(f, PredictionFrame)}
    shadows = {f.prediction: f for f in frames if isinstance(f, ShadowFrame)}
    truths: dict[bytes, int] = {}
    for f in sorted((f for f in frames if isinstance(f, OutcomeFrame)), key=lambda f: f.at):
        truths[f.prediction or b""] = int(f.value or 0)
    found: Counter[str] = Counter()
    found.update("shadow:asked" if f.shadow_asked else "shadow:dropped" for f in answers.values())
    found.update(f"shadow:{f.fate}" for f in shadows.values())
    differences: dict[Any, int] = defaultdict(int)
    for identifier, shadow in shadows.items():
        if shadow.fate == Fate.ANSWERED and identifier in truths:
            truth, answer = truths[identifier], answers[identifier]
            place = answer.unit if by_unit else identifier
            differences[place] += (shadow.answer == truth) - (answer.prediction == truth)
    found["difference"] = len(differences)
    for difference in differences.values():
        side = "treatment" if difference > 0 else "control" if difference < 0 else "tied"
        found[f"pair:{side}"] += 1
    return {name: n for name, n in found.items() if n}


@pytest.mark.parametrize("unit", ["unit", "request"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_any_order_over_drainers_gives_the_same_sums_and_a_recount_agrees(
    world: World, unit: str, seed: int
) -> None:
    experiment = shadowing(world, unit=unit)
    draw = random.Random(seed)
    frames = story(world, experiment, seed)
    world.bench.clock.advance(2 * HOUR_S)
    while_left = list(frames)
    while while_left:
        part = [while_left.pop() for _ in range(min(len(while_left), draw.randrange(5, 25)))]
        number = draw.randrange(3)
        world.bench.write(*part, slot=f"slot-{number}")
        world.drain(f"drainer-{number}", f"slot-{number}")
    for number in range(3):  # what waits is looked for each cycle, whoever drained it
        world.drain(f"drainer-{number}", f"slot-{number}")
    assert sums(world) == expected(frames, by_unit=unit == "unit")
    assert agrees(world)


def test_of_a_truth_and_an_unheard_answer_drained_at_once_the_second_finds_the_first(
    on_postgres: World,
) -> None:
    world = on_postgres
    experiment = shadowing(world, unit="request")
    n_pairs = 0
    for _ in range(4):
        frames = [heard(world, experiment) for _ in range(60)]
        world.bench.write(*frames)
        world.drain()
        world.bench.write(*(unheard(world, f, 0) for f in frames), slot="slot-1")
        at = world.bench.clock.now_us()
        truths = [world.events.outcome(1, prediction=f.id, at=at) for f in frames]
        world.bench.write(*truths, slot="slot-2")
        gate = threading.Barrier(2)

        def drain(number: int, gate: threading.Barrier = gate) -> None:
            gate.wait(30)
            world.drain(f"drainer-{number}", f"slot-{number}")

        threads = [threading.Thread(target=drain, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        n_pairs += len(frames)
        assert sums(world)["pair:control"] == n_pairs


def test_what_was_dropped_failed_and_lost_is_said(world: World) -> None:
    experiment = shadowing(world, unit="request")
    frames = [heard(world, experiment, asked=at >= 50) for at in range(100)]
    fates = [Fate.ANSWERED] * 30 + [Fate.LATE] * 8 + [Fate.INVALID] * 5 + [Fate.FAILED] * 3
    shadows = [unheard(world, f, 1, fate) for f, fate in zip(frames[50:], fates, strict=False)]
    world.bench.write(*frames, *shadows)
    world.drain()
    look = world.experiments.look("shadowed")
    shadow = ShadowReport(answered=30, late=8, invalid=5, failed=3, dropped=50, missing=4)
    assert look.asked_later == shadow
    document = look_document(look, "es")["shadow"]
    assert (document["asked"], document["paired_share"]) == (50, 0.3)
    assert document["sentence"].startswith("30,0% de 100 peticiones en pares")
    assert [arm.answers for arm in look.arms] == [100, 30]
    assert agrees(world)


@pytest.mark.parametrize("n_failed", [0, 20])
def test_what_it_cannot_answer_is_not_forgiven_but_drops_are(world: World, n_failed: int) -> None:
    experiment = shadowing(world, unit="request")
    frames = [heard(world, experiment, int(at % 10 < 6), asked=at < 200) for at in range(300)]
    asked = frames[: 200 - n_failed]
    shadows = [unheard(world, f, int(at % 10 > 0)) for at, f in enumerate(asked)]
    failed = [unheard(world, f, fate=Fate.FAILED) for f in frames[200 - n_failed : 200]]
    world.bench.clock.advance(HOUR_S)
    at = world.bench.clock.now_us()
    labels = [world.events.outcome(1, prediction=f.id, at=at) for f in frames]
    world.bench.write(*frames, *labels, *shadows, *failed)
    world.drain()
    world.bench.clock.advance(120 * HOUR_S)
    world.drain()
    look: Look = world.experiments.look("shadowed")
    if n_failed:
        assert (look.verdict, look.rule) == (Verdict.INVALID, Rule.PAIRS_MISSING)
    else:
        assert (look.verdict, look.rule) == (Verdict.PROMOTE, Rule.PAIRS_BETTER)
        assert look.pairs == {"treatment": 80, "control": 20, "tied": 100}


def test_an_answer_to_another_attempt_of_the_same_request_is_no_pair(world: World) -> None:
    experiment = shadowing(world, unit="request")
    one = heard(world, experiment)
    world.bench.clock.advance(1.0)
    again = msgspec.structs.replace(one, at=world.bench.clock.now_us())
    world.bench.write(one, again, unheard(world, again, 0))
    world.drain()
    world.bench.write(world.events.outcome(1, prediction=one.id))
    world.drain()
    assert sums(world) == {"shadow:asked": 1}
    assert agrees(world)


def test_answers_without_a_prediction_wait_and_are_given_up(world: World) -> None:
    experiment = shadowing(world, unit="request")
    lost = unheard(world, heard(world, experiment))
    world.bench.write(lost)
    world.drain()
    n = select(func.count()).select_from(shadow_answers)
    with world.engine.connect() as connection:
        assert connection.scalar(n) == 1
    world.bench.clock.advance(181 * 24 * HOUR_S)
    world.drain()
    expire_parked(world.engine, PROJECT, world.bench.clock)
    with world.engine.connect() as connection:
        assert connection.scalar(n) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fate": "bored"}, "the fate 'bored'"),
        ({"answer": None}, "the fate 'answered' with"),
        ({"prediction": b"x"}, "a prediction id of 1 bytes"),
        ({"generation": 1 << 63}, "generation"),
        ({"variant": "v" * 65}, "variant has 65"),
        ({"v": 2}, "format 2"),
    ],
)
def test_a_frame_that_no_row_can_hold_is_a_dead_letter(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    frame = ShadowFrame(
        id=bytes(16),
        at=1,
        model="churn",
        prediction=bytes(16),
        variant=TREATMENT,
        version="3.0.0",
        generation=1,
        fate="answered",
        answer=1,
        score=None,
        latency_us=1,
    )
    segment = Segment("s", 1, tmp_path / "one")
    payload = encode(msgspec.structs.replace(frame, **changes))
    (dead,) = sort_letters([Letter(segment, 0, payload)]).dead
    assert dead.reason.startswith(said)

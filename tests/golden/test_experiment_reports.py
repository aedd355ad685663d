"""Reports of experiments, word for word in both languages, and what they say of the unknown.

The files beside this are what the code wrote, read by a person; the numbers in them are held
against their own arithmetic below.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from sqlalchemy import Engine, update

from timonel.experiments.design import Answers, Arm, Design, Mode, Strategy
from timonel.experiments.outside.drawing import draw_list
from timonel.experiments.outside.files import UnitFile
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.reporting.markdown import markdown
from timonel.experiments.reporting.page import number, plain
from timonel.experiments.service import Experiments
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables_experiments import experiment_looks
from timonel.testing.builders import PROJECT, make_manifest
from timonel.testing.events import Bench

WRITTEN = Path(__file__).parent / "reports"
ARMS = (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL))


@dataclass
class Office:
    engine: Engine
    bench: Bench
    experiments: Experiments
    units: OutsideUnits
    folder: Path

    def begin(self, **changes: Any) -> dict[str, str]:
        lines = ["unit_id;comuna", *(f"c-{i};{'Ñuñoa' if i % 3 else 'Maipú'}" for i in range(300))]
        path = self.folder / "clientes.csv"
        path.write_bytes("\n".join(lines).encode("cp1252"))
        values: dict[str, Any] = {
            "name": "letters",
            "model": "churn",
            "salt": "letters-1",
            "mode": Mode.OUTSIDE,
            "arms": ARMS,
            "weights": (0.5, 0.5),
            "metric": "revenue",
        }
        design = Design(**(values | changes))
        drawn, members = draw_list(design, UnitFile(path=path, block="comuna", seed=7))
        self.experiments.create(drawn, who="ana", members=members)
        self.bench.clock.advance(60)
        self.experiments.start("letters", who="ana", reason="spring | letters")
        return {member.unit: member.arm for member in members}

    def report(self, lang: str) -> str:
        return markdown(self.experiments.report("letters"), lang=lang, zone="America/Santiago")


@pytest.fixture
def office(sqlite_database: str, tmp_path: Path) -> Iterator[Office]:
    engine = make_engine(sqlite_database)
    ensure_project(engine, PROJECT, "America/Santiago")
    bench = Bench(engine, tmp_path / "spool")
    registry = Registry(engine, PROJECT, bench.clock)
    registry.declare(make_manifest())
    experiments = Experiments(engine, PROJECT, bench.clock, registry, lambda signal: None)
    units = OutsideUnits(engine, PROJECT, bench.clock)
    yield Office(engine, bench, experiments, units, tmp_path)
    engine.dispose()


def held(name: str, page: str) -> None:
    """Hold a page against the one that was read; a new one is written, and fails once."""
    file = WRITTEN / name
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(page, "utf-8")
        pytest.fail(f"{file} is new: read it, then run again")
    assert page == file.read_text("utf-8")


def test_a_report_says_what_the_look_said_and_counts_corrections(office: Office) -> None:
    arms = office.begin(
        secondary=("churned", "visits"),
        hypothesis="A letter brings *back* <b>10 %</b>\nof revenue | orders",
    )
    draw = random.Random(5)
    values = {
        unit: round(draw.gauss(13_000 if arm == "treatment" else 10_000, 2_000))
        for unit, arm in sorted(arms.items())
    }
    told = list(values.items())[:290]
    office.units.record(
        "letters",
        {unit: {"revenue": value, "churned": value < 8_000} for unit, value in told},
    )
    office.units.record("letters", {told[0][0]: {"revenue": told[0][1] + 1}})
    office.bench.clock.advance(3 * 86_400)
    office.experiments.look("letters")
    values[told[0][0]] += 1
    held("letters.en.md", office.report("en"))
    held("letters.es.md", office.report("es"))
    control, treated = (
        fmean(values[unit] for unit, _ in told if arms[unit] == arm)
        for arm in ("control", "treatment")
    )
    assert f"| {number(treated - control, '+')} |" in office.report("en")
    assert f"| {treated / control - 1:+.2%} [" in office.report("en")
    assert "corrected by a later one: 1;" in office.report("en")


def test_what_is_not_known_has_its_reason(office: Office) -> None:
    office.begin()
    held("unseen.en.md", office.report("en"))
    office.experiments.look("letters")
    for lang, word in (("en", "unknown: "), ("es", "se desconoce: ")):
        page = office.report(lang)
        assert page.count(word) >= 9
        assert "nan" not in page.lower().replace("ganan", "")
    with office.engine.begin() as connection:
        connection.execute(update(experiment_looks).values(evidence=None))
    page = office.report("es")
    assert "se desconoce: la mirada es anterior a que se guardara su evidencia" in page


def test_texts_of_people_are_no_markup() -> None:
    assert plain("a|b\n# <i>*x*</i> [y](z) `q`") == (
        "a\\|b \\# \\<i\\>\\*x\\*\\</i\\> \\[y\\](z) \\`q\\`"
    )
    assert number(0.0) == "0"
    assert number(-1e-9) == "-1e-09"
    assert number(123456.7) == "123457"


def test_a_report_of_two_rankings_says_who_won_what(office: Office) -> None:
    two = Design(
        name="letters",
        model="churn",
        salt="order-1",
        mode=Mode.INTERLEAVE,
        arms=ARMS,
        weights=(0.5, 0.5),
        metric="clicks",
    )
    office.experiments.create(two, who="ana")
    held("rankings-unseen.en.md", office.report("en"))
    office.experiments.start("letters", who="ana")
    office.experiments.look("letters")
    assert "unknown: no unit whose window has ended clicked more" in office.report("en")
    rankings = office.experiments.rankings
    for place in range(50):
        if place == 47:  # these three come late, and are still open at the look
            office.bench.clock.advance(2 * 3600)
        shown = rankings.interleave("letters", f"r-{place}", list("abcd"), list("dcba"))
        own = [
            item
            for item, team in zip(shown.items, shown.teams, strict=True)
            if team == ("1" if place % 8 else "0")
        ]
        if place < 42:  # the next five click nothing, two of them one of each
            rankings.click("letters", f"r-{place}", own[:1])
        elif place < 44:
            rankings.click("letters", f"r-{place}", shown.items[:2])
    office.experiments.look("letters")
    held("rankings.en.md", office.report("en"))
    held("rankings.es.md", office.report("es"))
    won = sum(place % 8 != 0 for place in range(42))
    assert f"| won by the treatment | {won} |" in office.report("en")
    assert f"| {number(won / 42)} |" in office.report("en")


def test_a_report_of_a_bandit_has_its_batches_and_claims_nothing(office: Office) -> None:
    three = Design(
        name="letters",
        model="churn",
        salt="offers-1",
        mode=Mode.OUTSIDE,
        strategy=Strategy.THOMPSON,
        arms=(*ARMS, Arm("third", Answers.EXTERNAL)),
        weights=(1 / 3, 1 / 3, 1 / 3),
        metric="bought",
        floor=0.05,
        batch_s=86_400,
    )
    office.experiments.create(three, who="ana")
    office.experiments.start("letters", who="ana")
    office.experiments.look("letters")
    page = office.report("en")
    assert page.count("unknown: of no ended batch") == 9  # mean, interval and chance of each arm
    draw = random.Random(6)
    rates = {"control": 0.1, "treatment": 0.4, "third": 0.1}
    told: dict[str, list[float]] = {arm: [] for arm in rates}
    for day in range(3):
        outcomes = {}
        for place in range(120):
            unit = f"{day}-{place}"
            arm = office.units.assign("letters", unit, {}).arm
            bought = float(draw.random() < rates[arm])
            if day < 2 or place % 2:  # of the last day half have no outcome yet
                outcomes[unit] = {"bought": bought}
            if day == 0:
                told[arm].append(bought)
        office.units.record("letters", outcomes)
        office.bench.clock.advance(86_400)
        look = office.experiments.look("letters")
        if day == 0:
            assert look.arms[1].mean == pytest.approx(fmean(told["treatment"]))
    held("bandit.en.md", office.report("en"))
    held("bandit.es.md", office.report("es"))
    assert "which count: 2; batches that wait for outcomes: 1." in office.report("en")

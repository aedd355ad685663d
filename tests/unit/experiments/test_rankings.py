"""Interleaved rankings: drafts, credit, windows, looks and their replay; on real databases."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update
from tests.databases import on_sqlite_alone

from timonel.clock import Clock
from timonel.errors import TimonelError
from timonel.experiments.design import Answers, Arm, Condition, Design, Guardrail, Mode
from timonel.experiments.errors import InvalidDesign, NotAssigning, NotOutside
from timonel.experiments.judging.look import Rule, Verdict
from timonel.experiments.outside.units import OutsideUnits
from timonel.experiments.rankings.draft import (
    CONTROL,
    NEITHER,
    TREATMENT,
    coins_of,
    credit,
    team_draft,
)
from timonel.experiments.rankings.errors import (
    InterleavedOtherwise,
    ItemNotShown,
    NotInterleaved,
    NotInterleaving,
    UnusableRanking,
)
from timonel.experiments.rankings.service import Clicked, Rankings
from timonel.experiments.service import Experiments
from timonel.registry.registry import Registry
from timonel.stats.paired import won_share
from timonel.stats.sequential import paired_e_value
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables_experiments import experiment_interleavings
from timonel.testing.builders import PROJECT, make_manifest

HOUR_US = 3_600_000_000
ITEMS = st.lists(st.integers(0, 12).map(str), min_size=1, max_size=9, unique=True)
COINS = st.integers(0, 2**512 - 1)


# --- drafts


@settings(max_examples=300, deadline=None)
@given(control=ITEMS, treatment=ITEMS, coins=COINS, length=st.none() | st.integers(1, 20))
def test_a_draft_has_each_item_once_teams_in_balance_and_in_their_order(
    control: list[str], treatment: list[str], coins: int, length: int | None
) -> None:
    items, teams = team_draft(control, treatment, coins, length)
    union = set(control) | set(treatment)
    assert len(items) == len(set(items)) == len(teams) == min(len(union), length or 99)
    assert set(items) <= union
    drafted = teams.rstrip(NEITHER)
    assert NEITHER not in drafted
    for end in range(len(drafted) + 1):
        assert abs(drafted[:end].count(CONTROL) - drafted[:end].count(TREATMENT)) <= 1
    for sign, ranking in ((CONTROL, control), (TREATMENT, treatment)):
        own = [item for item, team in zip(items, teams, strict=True) if team == sign]
        places = [ranking.index(item) for item in own]
        assert places == sorted(places)
    # each team picks its best item that is left
    for place, team in enumerate(drafted):
        ranking = (control, treatment)[team == TREATMENT]
        assert items[place] == next(item for item in ranking if item not in items[:place])
    assert team_draft(control, treatment, coins, length) == (items, teams)
    # who is who makes no difference: with every coin turned, the teams change sides
    turned = team_draft(treatment, control, ~coins & (2**512 - 1), length)
    assert turned.items[: len(drafted)] == items[: len(drafted)]
    assert turned.teams[: len(drafted)] == drafted.translate(str.maketrans("01", "10"))


@settings(max_examples=100, deadline=None)
@given(ranking=ITEMS, coins=COINS)
def test_two_equal_rankings_are_shown_as_they_are(ranking: list[str], coins: int) -> None:
    items, teams = team_draft(ranking, ranking, coins)
    assert (list(items), NEITHER in teams) == (ranking, False)


def test_a_draft_by_hand_and_what_is_left_over() -> None:
    a, b = ["a", "b", "c", "d", "g", "h"], ["b", "e", "a", "f", "g", "h"]
    drafted = team_draft(a, b, 0b10, length=4)
    assert drafted == (("a", "b", "e", "c"), "0110")
    assert team_draft(["a"], ["a", "x", "y"], 0b0) == (("a", "x", "y"), "01-")
    assert team_draft(["a"], ["a", "x", "y"], 0b1) == (("a", "x", "y"), "1--")
    assert credit("0110-", [1, 2, 2, 3, 4]) == 1


def test_coins_are_fair_and_fixed_for_good() -> None:
    # the same in every process and release
    assert coins_of("rank-1", "u1", "r1") & 0xFFFFFFFF == 0x2E9F5951
    assert (
        len({coins_of(*text) for text in (("a", "bc", ""), ("ab", "c", ""), ("a", "b", "c"))}) == 3
    )
    ones = sum(coins_of("s", "u", str(i)).bit_count() for i in range(200))
    assert abs(ones - 51_200) < 4 * 160  # four standard errors


# --- the rule


@settings(max_examples=200, deadline=None)
@given(won=st.integers(0, 400), lost=st.integers(0, 400))
def test_the_interval_excludes_a_half_exactly_where_the_e_value_decides(
    won: int, lost: int
) -> None:
    found = won_share(won, lost)
    if won + lost == 0:
        assert found.reason == "no discordant pair"
        return
    assert found.lower is not None
    assert found.upper is not None
    assert found.estimate is not None
    assert 0.0 <= found.lower <= found.estimate <= found.upper <= 1.0
    decided = paired_e_value(won, lost) >= 20.0
    assert decided == (not found.lower < 0.5 < found.upper)


def click_world(rng: random.Random, gap: float, n: int) -> tuple[int, int]:
    """Play ``n`` requests; a click model with positions, which does not know the teams.

    Ten items, the first three relevant; the treatment shows them first, the control puts each of
    them behind another with chance ``gap``. Who looks stops at each place with chance .3, and
    clicks what is relevant with .5, other things with .1.
    """
    won = lost = 0
    for _ in range(n):
        treatment = list("abcdefghij")
        control = list(treatment)
        for place in range(3):
            if rng.random() < gap:
                other = rng.randrange(3, 10)
                control[place], control[other] = control[other], control[place]
        draft = team_draft(control, treatment, rng.getrandbits(16), length=6)
        clicked = []
        for place, item in enumerate(draft.items):
            if rng.random() < (0.5 if item in "abc" else 0.1):
                clicked.append(place)
            if rng.random() < 0.3:
                break
        found = credit(draft.teams, clicked)
        won, lost = won + (found > 0), lost + (found < 0)
    return won, lost


def test_equal_rankers_are_rarely_told_apart_however_often_one_looks() -> None:
    rng, runs, wrong = random.Random(5), 80, 0
    for _ in range(runs):
        won = lost = 0
        for _ in range(40):  # looks
            more = click_world(rng, 0.0, 15)
            won, lost = won + more[0], lost + more[1]
            if paired_e_value(won, lost) >= 20.0:
                wrong += 1
                break
    # 5 % at most; binomial, four standard errors of it
    assert wrong / runs <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / runs)


def test_a_better_ranker_is_found() -> None:
    rng = random.Random(6)
    found = [paired_e_value(*click_world(rng, 0.5, 1500)) >= 20.0 for _ in range(10)]
    assert sum(found) >= 8


# --- the service


class Hand(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.us = 480_000 * HOUR_US

    def now_us(self) -> int:
        return self.us


@dataclass
class Ranked:
    engine: Engine
    clock: Hand
    experiments: Experiments
    rankings: Rankings

    def begin(self, **changes: Any) -> None:
        self.experiments.create(design(**changes), who="ana")
        self.experiments.start("order", who="ana")

    def show(self, request: str, unit: str | None = None) -> dict[str, str]:
        found = self.rankings.interleave("order", request, list("abcd"), list("dcba"), unit=unit)
        return dict(zip(found.items, found.teams, strict=True))


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "order",
        "model": "churn",
        "salt": "order-1",
        "mode": Mode.INTERLEAVE,
        "arms": (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL)),
        "weights": (0.5, 0.5),
        "metric": "clicks",
    }
    return Design(**(values | changes))


@pytest.fixture
def ranked(database: str) -> Iterator[Ranked]:
    engine, clock = make_engine(database), Hand()
    ensure_project(engine, PROJECT, "America/Santiago")
    registry = Registry(engine, PROJECT, clock)
    registry.declare(make_manifest())
    experiments = Experiments(engine, PROJECT, clock, registry, lambda signal: None)
    yield Ranked(engine, clock, experiments, Rankings(engine, PROJECT, clock))
    engine.dispose()


def of(teams: dict[str, str], sign: str) -> list[str]:
    return [item for item, team in teams.items() if team == sign]


def test_clicks_decide_and_every_look_can_be_judged_and_counted_again(ranked: Ranked) -> None:
    ranked.begin()
    assert ranked.experiments.look("order").rule is Rule.NO_DATA
    for place in range(36):
        teams = ranked.show(f"r{place}")
        ranked.rankings.click("order", f"r{place}", of(teams, TREATMENT if place % 12 else CONTROL))
    still_open = ranked.experiments.look("order")
    assert (still_open.rule, still_open.immature, still_open.pairs) == (Rule.NO_COMPARISON, 36, {})
    ranked.clock.us += HOUR_US + 1_800_000_000
    look = ranked.experiments.look("order")
    assert (look.verdict, look.rule, look.arm) == (
        Verdict.PROMOTE,
        Rule.RANKING_BETTER,
        "treatment",
    )
    assert look.pairs == {"treatment": 33, "control": 3}
    goal = look.goal
    assert goal is not None
    assert goal.effect == pytest.approx(33 / 36 - 0.5)
    assert goal.e_value == paired_e_value(33, 3)
    replayed = ranked.experiments.replay("order")
    assert (replayed.all_same, replayed.n_looks) == (True, 3)
    assert replayed.log is not None
    assert (replayed.log.n_answers, replayed.log.n_labels) == (36, 72)
    # a row that was changed afterwards does not pass
    with ranked.engine.begin() as connection:
        row = experiment_interleavings.c
        connection.execute(
            update(experiment_interleavings).where(row.request_id == "r1").values(unit_id="r2")
        )
    counted = ranked.experiments.replay("order").log
    assert counted is not None
    assert counted.n_different > 0


def test_a_unit_is_one_comparison_within_its_window(ranked: Ranked) -> None:
    ranked.begin(window_s=600)
    first, second = ranked.show("r1", "ana"), ranked.show("r2", "ana")
    click = ranked.rankings.click
    assert click("order", "r1", of(first, CONTROL)) == Clicked(counted=2)
    assert click("order", "r1", of(first, CONTROL)) == Clicked(repeated=2)
    assert click("order", "r2", of(second, TREATMENT)[:1]) == Clicked(counted=1)
    ranked.clock.us += HOUR_US + 600_000_000  # to the microsecond: the window is over
    assert ranked.experiments.look("order").pairs == {"control": 1}
    assert click("order", "r2", of(second, TREATMENT)) == Clicked(late=1, repeated=1)
    third = ranked.show("r3", "ana")
    assert click("order", "r3", of(third, TREATMENT)) == Clicked(late=2)
    look = ranked.experiments.look("order")
    assert (look.pairs, look.arms[0].units, look.immature) == ({"control": 1}, 1, 0)
    replayed = ranked.experiments.replay("order")
    assert replayed.all_same, replayed.log


def test_a_pause_refuses_lists_and_takes_clicks(ranked: Ranked) -> None:
    ranked.begin()
    teams = ranked.show("r1")
    ranked.experiments.pause("order", who="ana")
    with pytest.raises(NotAssigning):
        ranked.show("r2")
    assert ranked.rankings.click("order", "r1", of(teams, CONTROL)).counted == 2
    ranked.experiments.resume("order", who="ana")
    assert ranked.show("r1") == teams
    assert Counter(ranked.show("r2").values()) == {CONTROL: 2, TREATMENT: 2}


def test_what_cannot_be_interleaved_is_refused(ranked: Ranked) -> None:
    ranked.begin()
    ask, click = ranked.rankings.interleave, ranked.rankings.click
    teams = ranked.show("r1")
    refusals: list[tuple[type[TimonelError], Any]] = [
        (UnusableRanking, lambda: ask("order", "r2", [], ["a"])),
        (UnusableRanking, lambda: ask("order", "r2", ["a"], ["b", "b"])),
        (UnusableRanking, lambda: ask("order", "r2", ["a"], [str(i) for i in range(201)])),
        (InterleavedOtherwise, lambda: ask("order", "r1", ["a"], ["b"])),
        (InterleavedOtherwise, lambda: ranked.show("r1", "other")),
        (NotInterleaved, lambda: click("order", "r9", ["a"])),
        (ItemNotShown, lambda: click("order", "r1", [*teams, "z"])),
        (
            NotOutside,
            lambda: OutsideUnits(ranked.engine, PROJECT, ranked.clock).assign("order", "u", {}),
        ),
        (
            InvalidDesign,
            lambda: ranked.experiments.set_shares("order", (0.2, 0.8), who="ana"),
        ),
    ]
    for kind, act in refusals:
        with pytest.raises(kind):
            act()
    assert click("order", "r1", list(teams)).counted == 4  # nothing of the refused was counted
    ranked.experiments.create(design(name="shop", mode=Mode.OUTSIDE), who="ana")
    with pytest.raises(NotInterleaving):
        ask("shop", "r1", ["a"], ["b"])


@on_sqlite_alone
@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": (0.3, 0.7)},
        {"arms": (Arm("control", Answers.RULES), Arm("treatment", Answers.EXTERNAL))},
        {"guardrails": (Guardrail("fallback"),)},
        {"targeting": (Condition("age", ">", 3),)},
        {"margin": 0.1},
        {"planned_n": 100},
        {"ends_after_s": 86_400},
        {"higher_is_better": False},
        {"window_s": 0},
        {"secondary": ("carts",)},
        {"unit": "request"},
        {"holdout": 0.02},
    ],
    ids=str,
)
def test_a_setting_that_would_not_be_honoured_is_refused(
    ranked: Ranked, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidDesign):
        ranked.experiments.create(design(**wrong), who="ana")

"""Lists of units: how they are drawn, stored, refused, and what is recorded of them."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from timonel.errors import ProjectFault
from timonel.experiments.design import Answers, Arm, Condition, Design, Mode
from timonel.experiments.documents import look_document
from timonel.experiments.errors import (
    ExperimentExists,
    InvalidDesign,
    ListIsFixed,
    NoList,
    NotAssigning,
    UnusableUnits,
)
from timonel.experiments.judging.look import Rule, Unsaid, Verdict
from timonel.experiments.outside.drawing import draw_list
from timonel.experiments.outside.errors import UnitNotAssigned, UnusableOutcomeFile
from timonel.experiments.outside.files import UnitFile
from timonel.experiments.outside.lists import assign_list
from timonel.experiments.outside.members import Member, write_members
from timonel.experiments.outside.recording import RecordReport, record_file
from timonel.experiments.outside.units import OutsideUnits, Placed
from timonel.experiments.service import Experiments
from timonel.registry.registry import Registry
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.testing.builders import PROJECT, make_manifest
from timonel.testing.events import Bench

ARMS = (Arm("control", Answers.EXTERNAL), Arm("treatment", Answers.EXTERNAL))


def design(**changes: Any) -> Design:
    values: dict[str, Any] = {
        "name": "letters",
        "model": "churn",
        "salt": "letters-1",
        "mode": Mode.OUTSIDE,
        "arms": ARMS,
        "weights": (0.5, 0.5),
        "metric": "revenue",
        "secondary": ("churned",),
    }
    return Design(**(values | changes))


# --- drawing


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    percent=st.integers(10, 90),
    seed=st.integers(0, 2**31),
)
def test_shares_are_exact_in_all_and_to_one_unit_in_each_block(
    sizes: list[int], percent: int, seed: int
) -> None:
    blocks = [f"b{block}" for block, size in enumerate(sizes) for _ in range(size)]
    units = [f"u{place}" for place in range(len(blocks))]
    share = percent / 100
    treated = assign_list(units, share, seed, blocks)
    assert abs(sum(treated) - len(units) * share) < 1
    if len(units) * percent % 100 == 0:
        assert sum(treated) == len(units) * percent // 100
    drawn = Counter(block for block, chosen in zip(blocks, treated, strict=True) if chosen)
    for block, size in enumerate(sizes):
        assert abs(drawn[f"b{block}"] - size * share) < 1
    # whoever sorts the file gets the same
    order = random.Random(seed).sample(range(len(units)), len(units))
    again = assign_list([units[i] for i in order], share, seed, [blocks[i] for i in order])
    assert [treated[i] for i in order] == again


def test_each_unit_has_the_chance_of_the_share_however_small_its_block() -> None:
    runs, units, blocks = 3000, ["a", "b", "c", "d", "e"], ["x", "y", "y", "y", "z"]
    drawn = Counter[str]()
    for seed in range(runs):
        treated = assign_list(units, 0.3, seed, blocks)
        drawn.update(unit for unit, chosen in zip(units, treated, strict=True) if chosen)
    for unit in units:  # four standard errors
        assert abs(drawn[unit] / runs - 0.3) < 4 * (0.3 * 0.7 / runs) ** 0.5


# --- files


def written(path: Path, text: str, encoding: str = "cp1252") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_file_of_excel_is_drawn_the_same_again_by_its_seed(tmp_path: Path) -> None:
    lines = ["cliente;región;gasto"] + [
        f"{i:04};{'Ñuñoa' if i % 4 else 'Maipú'};{i},5" for i in range(400)
    ]
    path = written(tmp_path / "clientes.csv", "\n".join(lines))
    file = UnitFile(path=path, key="cliente", block="región", seed=11)
    drawn, members = draw_list(design(weights=(0.75, 0.25)), file)
    listed = drawn.listed
    assert listed is not None
    assert listed.counts == (300, 100)
    assert listed.sha256 == sha256(path.read_bytes()).hexdigest()
    assert members[0].unit == "0000"  # a code, no number
    maipu = [member for place, member in enumerate(members) if place % 4 == 0]
    assert sum(member.arm == "treatment" for member in maipu) == 25
    assert draw_list(design(weights=(0.75, 0.25)), file) == (drawn, members)
    other = draw_list(design(), UnitFile(path=path, key="cliente"))[0].listed
    assert other is not None
    assert other.counts == (200, 200)


def test_rows_that_name_no_unit_or_one_twice_are_told_by_line(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", "unit_id,city\nu1,a\n ,b\nu2,\nu1,c\nu3,d\n")
    with pytest.raises(UnusableUnits) as refused:
        draw_list(design(), UnitFile(path=path))
    assert refused.value.message("en").endswith(
        "2 of its rows cannot be used. line 3: no usable id; line 5: u1 stands in line 2 already."
    )
    assert "línea 5: u1 ya está en la línea 2" in refused.value.message("es")
    with pytest.raises(UnusableUnits, match="line 4: no block"):
        draw_list(design(), UnitFile(path=path, block="city"))
    with pytest.raises(
        InvalidDesign, match=r"key-column is cliente, expected one of unit_id, city"
    ):
        draw_list(design(), UnitFile(path=path, key="cliente"))
    lone = written(tmp_path / "one.csv", "unit_id,city\nu1,a\n")
    with pytest.raises(InvalidDesign):
        draw_list(design(), UnitFile(path=lone))


# --- stored


@dataclass
class Office:
    engine: Engine
    bench: Bench
    experiments: Experiments
    units: OutsideUnits
    folder: Path

    def begin(self, n: int = 400, **changes: Any) -> dict[str, str]:
        lines = ["unit_id,city", *(f"c-{i},x" for i in range(n))]
        path = written(self.folder / "customers.csv", "\n".join(lines))
        drawn, members = draw_list(design(**changes), UnitFile(path=path, seed=3))
        self.experiments.create(drawn, who="ana", members=members)
        self.experiments.start("letters", who="ana")
        return {member.unit: member.arm for member in members}

    def record(self, text: str, **options: Any) -> RecordReport:
        path = written(self.folder / "outcomes.csv", text)
        rejected = self.folder / "rejected.csv"
        return record_file(self.units, "letters", path, rejected=rejected, **options)


@pytest.fixture
def office(database: str, tmp_path: Path) -> Iterator[Office]:
    engine = make_engine(database)
    ensure_project(engine, PROJECT, "America/Santiago")
    bench = Bench(engine, tmp_path / "spool")
    registry = Registry(engine, PROJECT, bench.clock)
    registry.declare(make_manifest())
    experiments = Experiments(engine, PROJECT, bench.clock, registry, lambda signal: None)
    units = OutsideUnits(engine, PROJECT, bench.clock)
    yield Office(engine, bench, experiments, units, tmp_path)
    engine.dispose()


def test_the_list_answers_and_nobody_else_is_let_in(office: Office) -> None:
    arms = office.begin()
    assert office.units.assign("letters", "c-1", {}) == Placed(arms["c-1"], first=False)
    assert office.units.peek("letters", "c-2", {}) == arms["c-2"]
    for ask in (office.units.assign, office.units.peek):
        with pytest.raises(UnitNotAssigned):
            ask("letters", "c-400", {})
    with pytest.raises(UnitNotAssigned):
        office.units.record("letters", {"c-1": {"revenue": 1.0}, "c-400": {"revenue": 1.0}})
    with pytest.raises(ListIsFixed):
        office.experiments.set_shares("letters", (0.4, 0.6), who="ana")
    listed, members = office.units.listed("letters")
    stored = {member.unit: member.arm for member in members}
    assert (stored, listed.seed, listed.counts) == (arms, 3, (200, 200))
    look = office.experiments.look("letters")
    assert [arm.units for arm in look.arms] == [200, 200]
    assert (look.immature, look.srm_p, look.leaks) == (400, 1.0, 0)


def test_what_a_creation_left_that_was_cut_off_is_replaced_and_an_experiment_is_not(
    office: Office,
) -> None:
    left = [Member(f"c-{i}", "control") for i in range(700)]
    write_members(office.engine, PROJECT, "letters", left, at=1)
    arms = office.begin()
    assert {one.unit: one.arm for one in office.units.listed("letters")[1]} == arms
    with pytest.raises(ExperimentExists):
        write_members(office.engine, PROJECT, "letters", left, at=2)
    assert {one.unit: one.arm for one in office.units.listed("letters")[1]} == arms


def test_outcomes_of_a_file_count_once_and_refused_rows_come_back(office: Office) -> None:
    office.begin()
    text = "unit_id;revenue;churned;notes\nc-1;12990,50;no;=1+1\nc-2;;sí;\nc-3;5,00;no;\n"
    bad = "zz;1,00;no;\nc-4;1,00;no;\nc-4;2,00;no;\n"
    report = office.record(text + bad)
    assert (report.n_rows, report.recorded, report.n_same) == (6, (5, 0), 0)
    assert (report.n_empty, report.unread) == (1, ["notes"])
    assert [(row.line, str(row.reason).split(" ", 1)[0]) for row in report.refused] == [
        (5, "zz"),
        (6, "c-4"),
        (7, "c-4"),
    ]
    assert report.rejected is not None
    assert (
        report.rejected.read_text("utf-8-sig").splitlines()[0]
        == "unit_id;revenue;churned;notes;reason"
    )
    again = office.record(text.replace("5,00", "6,00"))
    assert (again.recorded, again.n_same, again.rejected) == ((0, 1), 4, None)
    look = office.experiments.look("letters")
    assert sum(arm.labelled for arm in look.arms) == 2
    with pytest.raises(ProjectFault, match="line 3"):
        office.record("unit_id,revenue\nc-5,1\nc-6,many\n")
    with pytest.raises(UnusableOutcomeFile):
        office.record("unit_id,income\nc-5,1\n")
    assert office.experiments.replay("letters").all_same


def test_promotion_counts_those_of_whom_nothing_came(office: Office) -> None:
    arms = office.begin()
    draw = random.Random(5)
    values = {
        unit: draw.gauss(130 if arm == "treatment" else 100, 20) for unit, arm in arms.items()
    }

    def table(units: list[str]) -> str:
        return "\n".join(["unit_id,revenue", *(f"{unit},{values[unit]:.2f}" for unit in units)])

    office.record(table(list(values)[:300]))
    early = office.experiments.look("letters")
    assert (early.rule, early.immature) == (Rule.OUTCOMES_MISSING, 100)
    office.experiments.pause("letters", who="ana")
    office.experiments.resume("letters", who="ana")
    assert office.record(table(list(values))).recorded == (100, 0)
    look = office.experiments.look("letters")
    assert (look.verdict, look.immature) == (Verdict.PROMOTE, 0)
    office.experiments.stop("letters", who="ana")
    found = office.experiments.replay("letters")
    assert found.all_same
    assert found.log is not None
    assert found.log.same


def test_one_record_feeds_every_metric_and_all_are_compared(office: Office) -> None:
    arms = office.begin(secondary=("orders_count", "churned", "visits"))
    draw = random.Random(2)
    outcomes = {
        unit: {
            "revenue": round(draw.gauss(100, 20), 2),
            "orders_count": float(draw.randint(0, 4) + 2 * (arm == "treatment")),
            "churned": float(draw.random() < 0.3),
        }
        for unit, arm in arms.items()
    }
    assert office.units.record("letters", outcomes) == (1200, 0)
    look = office.experiments.look("letters")
    found = {one.metric: one for one in look.compared}
    assert list(found) == ["revenue", "orders_count", "churned", "visits"]
    for metric in ("revenue", "orders_count", "churned"):
        means = [
            fmean(values[metric] for unit, values in outcomes.items() if arms[unit] == arm)
            for arm in ("control", "treatment")
        ]
        assert (found[metric].control, found[metric].treatment) == pytest.approx(means)
        assert found[metric].effect == pytest.approx(means[1] - means[0])
    adjusted = found["orders_count"].adjusted_p
    assert adjusted is not None
    assert adjusted < 0.05
    assert found["visits"].reason is Unsaid.NOT_RECORDED
    assert look_document(look, "es")["metrics"][3]["why"] == "no se registró de ninguna unidad"
    assert office.experiments.replay("letters").all_same


def test_a_list_that_could_not_be_honoured_is_refused(office: Office) -> None:
    path = written(office.folder / "c.csv", "unit_id,city\nu1,a\nu2,b\n")
    drawn, members = draw_list(design(), UnitFile(path=path))
    for changes in (
        {"targeting": (Condition("country", "==", "CL"),)},
        {"mode": Mode.SPLIT, "metric": "correct", "secondary": ()},
    ):
        with pytest.raises(InvalidDesign):
            office.experiments.create(
                msgspec.structs.replace(drawn, **changes), who="ana", members=members
            )
    office.experiments.create(design(), who="ana")
    with pytest.raises(NoList):
        office.units.listed("letters")
    with pytest.raises(NotAssigning):
        office.record("unit_id,revenue\nu1,1\n")

"""Checks over real drains: what is found, when, on what, and what ends it."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update
from tests.databases import postgres_with_the_slow

from timonel.alerts.alert import News, State
from timonel.alerts.lifecycle import Step, hear, rule_of
from timonel.alerts.texts import describe
from timonel.monitoring import checks as checks_module
from timonel.monitoring.drift.repeats import repeated_rows
from timonel.monitoring.health_check import HealthLog
from timonel.monitoring.history import Monitor, drift_windows, recent_verdicts
from timonel.monitoring.performance_windows import performance_history
from timonel.monitoring.watched import Watched
from timonel.project.model import Watch
from timonel.registry.manifest import WatchPlan
from timonel.schema.features import Category, Flag, Number
from timonel.schema.schema import Schema
from timonel.signals import Condition, Kind, Signal
from timonel.store.control import read_clock
from timonel.store.engine import make_engine
from timonel.store.reads_series import read_marked_rows
from timonel.store.tables import drainers, metadata
from timonel.store.tables_loop import health_checks, verdicts
from timonel.testing.builders import make_manifest
from timonel.testing.events import PROJECT
from timonel.testing.monitored import City, usual

NO_SEASON = Watch(season=False)
Make = Callable[..., City]


@pytest.fixture
def city(database: str, tmp_path: Path) -> Iterator[Make]:
    yield from cities(database, tmp_path)


@pytest.fixture
def quick_city(sqlite_database: str, tmp_path: Path) -> Iterator[Make]:
    yield from cities(sqlite_database, tmp_path)


def cities(url: str, folder: Path) -> Iterator[Make]:
    engine = make_engine(url)
    yield lambda **options: City(engine, folder, **options)
    engine.dispose()


def older(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns = usual(rng, n)
    columns["age"] = columns["age"] + 5.0  # half a standard deviation
    return columns


def in_inches(rng: np.random.Generator, n: int) -> dict[str, Any]:
    columns = usual(rng, n)
    return {**columns, "age": columns["age"] / 2.54}


def found(signals: list[Signal], kind: Kind, condition: Condition) -> list[str]:
    return sorted(s.column for s in signals if (s.kind, s.condition) == (kind, condition))


def drift(signals: list[Signal], condition: Condition = Condition.HOLDS) -> list[str]:
    return found(signals, Kind.DRIFT_DETECTED, condition)


def test_a_shift_warns_then_alerts_in_its_own_windows_and_ends(city: Make) -> None:
    one = city(seed=1)
    for _ in range(4):
        one.ask(1000)
        assert drift(one.end_hour()) == []
    one.ask(1000, older)
    assert drift(one.end_hour()) == []
    newest = drift_windows(one.engine, PROJECT, "churn", 1)[0]
    assert newest.whole.state == "warning"
    moved = {column.subject: column for column in newest.columns if column.found}
    assert {"age", "@score"} <= moved.keys()
    assert moved["age"].start_us == newest.whole.start_us == (one.hour - 1) * 3_600_000_000
    one.ask(1000, older)
    raised = one.end_hour()
    assert set(drift(raised)) >= {"age", "@score"}
    facts = next(s.facts for s in raised if s.column == "age")
    assert facts["effect"] > 0.15
    assert facts["n"] == 1000
    assert facts["window_end"] - facts["window_start"] == 3_600_000_000
    # over: cleared twice, never alerted again
    for _ in range(2):
        one.ask(1000)
        cleared = one.end_hour()
        assert drift(cleared) == []
        assert "age" in drift(cleared, Condition.CLEAR)


def test_a_change_of_unit_is_named_in_the_alert(quick_city: Make) -> None:
    one = quick_city(seed=4)
    for _ in range(2):
        one.ask(2000, in_inches)
        raised = one.end_hour()
    facts = next(s.facts for s in raised if s.column == "age")
    assert facts["looks_like"]["en"] == "inch instead of cm: x 0.3937"
    assert facts["looks_like"]["es"] == "pulgada en vez de cm: x 0,3937"
    newest = drift_windows(one.engine, PROJECT, "churn", 1)[0]
    kept = {column.subject: column.facts for column in newest.columns}
    assert kept["age"]["unit_change"]["now"] == "inch"
    assert "unit_change" not in kept["@score"]
    facts = newest.whole.facts
    assert [(one["column"], one["weight"]) for one in facts["explained"]] == [("age", None)]
    # 40 +- 10 in inches: a quarter lies under the fence of 13, of one of three inputs
    assert facts["quality"]["level"] == "GOOD"
    assert facts["quality"]["columns"]["age"]["outliers"] == pytest.approx(0.245, abs=0.04)


@pytest.mark.slow
def test_sixty_quiet_windows_raise_nothing(quick_city: Make) -> None:
    one = quick_city(seed=3)
    for _ in range(60):
        one.ask(600)
        signals = one.end_hour()
        assert drift(signals) == []
        assert [s.kind for s in signals if s.condition is Condition.HOLDS] == []
    with one.engine.connect() as connection:
        states = Counter(
            connection.execute(
                select(verdicts.c.state).where(
                    verdicts.c.monitor == "feature_drift", verdicts.c.subject == ""
                )
            ).scalars()
        )
    assert states["alert"] == 0
    assert states["warning"] <= 6  # one in twenty, by design


@pytest.mark.slow
def test_a_night_is_a_season_and_not_a_drift(quick_city: Make) -> None:
    """The same nightly shift every day: warned of while little is known, never alerted."""

    def reference(rng: np.random.Generator, n: int) -> dict[str, Any]:
        day, night = usual(rng, 2 * n // 3), older(rng, n - 2 * n // 3)
        return {name: np.concatenate([day[name], night[name]]) for name in day}

    one = quick_city(seed=5, watch=Watch(season=True, window="1h"))
    one.deploy("2", draw=reference)
    raised = []
    for hour in range(0, 24 * 8, 4):
        one.ask(300, older if hour % 24 < 8 else usual)
        raised += drift(one.end_hour(4))
    assert raised == []
    held = [
        column.facts.get("held")
        for window in drift_windows(one.engine, PROJECT, "churn", 200)
        for column in window.columns
        if column.facts.get("held")
    ]
    assert any("less than a week" in str(why) for why in held)
    # a real one is seen in the whole week, too
    for _ in range(15):
        one.ask(300, older)
        raised += drift(one.end_hour(4))
    assert "age" in raised


def test_a_new_version_ends_the_alerts_of_the_old_one(quick_city: Make) -> None:
    one = quick_city(seed=6)
    for _ in range(3):
        one.ask(1000, older)
        one.end_hour()
    assert "age" in drift(one.signals)
    old = one.version
    one.deploy("2", draw=older)
    cleared = []
    for _ in range(2):
        one.ask(1000, older)
        cleared += [s for s in one.end_hour() if s.condition is Condition.CLEAR]
    gone = [s for s in cleared if s.version == old and s.column == "age"]
    assert len(gone) == 2
    assert gone[0].at < gone[1].at
    newest = drift_windows(one.engine, PROJECT, "churn", 1)[0]
    assert newest.whole.version == one.version
    assert "age" not in {column.subject for column in newest.columns if column.found}


def test_late_rows_are_judged_again(quick_city: Make) -> None:
    one = quick_city(seed=7)
    start = one.bench.clock.now_us()
    one.ask(1000)
    one.end_hour()
    late = [
        one.events.prediction(at=start + n, features=b'{"age":40,"visits":4,"plan":"gold"}')
        for n in range(50)
    ]
    one.bench.write(*late)
    one.ask(1000)
    one.end_hour()
    windows = {w.whole.start_us: w.whole for w in drift_windows(one.engine, PROJECT, "churn", 9)}
    assert windows[start].n == 1050
    assert windows[start].facts["revised"] is True


def test_late_rows_of_the_newest_window_correct_what_its_alert_says(quick_city: Make) -> None:
    one = quick_city(seed=7)
    for _ in range(2):
        start = one.bench.clock.now_us()
        one.ask(1000, older)
        raised = [s for s in one.end_hour() if s.column == "age"]
    step = hear(None, raised[0], rule_of(raised[0]))
    one.bench.write(
        *(
            one.events.prediction(at=start + n, features=b'{"age":90,"visits":4,"plan":"gold"}')
            for n in range(250)
        )
    )
    (again,) = [s for s in one.end_hour() if s.column == "age"]
    after = hear(step.alert, again, rule_of(again))
    assert step.alert is not None
    assert after.alert is not None
    assert (step.alert.facts["n"], after.alert.facts["n"], after.news) == (1000, 1250, None)
    assert after.alert.facts["effect"] > step.alert.facts["effect"]
    assert after.alert.n_seen == step.alert.n_seen


@pytest.mark.slow
def test_an_accuracy_that_falls_is_found_by_late_labels_and_its_end_too(
    quick_city: Make,
) -> None:
    one = quick_city(seed=8, watch=Watch(season=False, window="1h"), accuracy=0.9)
    waiting = []
    history: list[tuple[int, str]] = []
    for hour in range(26):
        waiting.append((one.ask(500), 0.6 if 8 <= hour < 15 else 0.9))
        if len(waiting) > 3:  # truths come three hours later
            asked, accuracy = waiting.pop(0)
            one.tell(asked, accuracy)
        history += [
            (hour, str(s.condition))
            for s in one.end_hour()
            if s.kind is Kind.PERFORMANCE_DEGRADATION
        ]
    alarms = [hour for hour, condition in history if condition == "holds"]
    assert alarms
    assert 11 <= alarms[0] <= 13
    assert {condition for hour, condition in history if hour >= 18} == {"clear"}
    facts = next(
        s.facts
        for s in one.signals
        if s.kind is Kind.PERFORMANCE_DEGRADATION and s.condition is Condition.HOLDS
    )
    assert facts["metric"] == "accuracy"
    assert facts["upper"] < facts["baseline"] - facts["threshold"]
    assert facts["n"] >= 200
    rows = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.PERFORMANCE, limit=100)
    assert {row.subject for row in rows} == {
        "accuracy:prediction",
        "accuracy:arrival",
        "accuracy:since_deploy",
    }


def test_chosen_metrics_alert_by_themselves_and_end(quick_city: Make) -> None:
    one = quick_city(
        seed=21,
        watch=Watch(season=False, window="1h", losses={"roc_auc": 0.05, "log_loss": 0.1}),
        accuracy=0.5,  # which is never lost
        metrics={"roc_auc": {"value": 0.85, "lower": 0.83, "upper": 0.87}},
    )
    told = []
    for accuracy in (0.9, 0.6, 0.6, 0.9, 0.9):
        one.tell(one.ask(600), accuracy)
        told.append(
            [
                (s.column, s.monitor, str(s.condition))
                for s in one.end_hour()
                if s.kind is Kind.PERFORMANCE_DEGRADATION and s.column != "accuracy"
            ]
        )
    holds, clear = (("roc_auc", "metric_loss", state) for state in ("holds", "clear"))
    assert told == [[clear], [holds], [holds], [clear], [clear]]
    loss = next(s for s in one.signals if s.condition is Condition.HOLDS)
    assert loss.facts["upper"] < loss.facts["baseline"] - loss.facts["threshold"]
    rows = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.METRIC_LOSS, limit=100)
    unknown = {row.facts["reason"] for row in rows if row.subject.startswith("log_loss")}
    assert unknown == {"baseline: not_measured"}
    history = performance_history(one.engine, PROJECT, "churn", "binary", n_needed=200, limit=10)
    assert {"roc_auc:prediction", "log_loss:arrival"} <= {look.subject for look in history.looks}
    judged = [row.judged_at for row in rows]
    one.checks.run()  # nothing new: nothing is judged again
    again = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.METRIC_LOSS, limit=100)
    assert [row.judged_at for row in again] == judged
    one.deploy("2")
    assert ("roc_auc", Condition.CLEAR) in {(s.column, s.condition) for s in one.end_hour()}


def test_few_labels_are_a_state_with_a_number(quick_city: Make) -> None:
    one = quick_city(seed=9)
    asked = one.ask(1000)
    one.tell(asked[:37], 0.1)
    one.end_hour()
    one.end_hour(14 * 24)  # thin labels are judged by the week
    rows = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.PERFORMANCE, limit=9)
    assert {row.facts["reason"] for row in rows} == {"not enough: 37 of 200"}
    assert {str(row.state) for row in rows} == {"not_enough"}
    assert found(one.signals, Kind.PERFORMANCE_DEGRADATION, Condition.HOLDS) == []


def test_labels_of_one_class_only_say_nothing(quick_city: Make) -> None:
    one = quick_city(seed=19)
    asked = one.ask(1000)
    positive = [a for a in asked if a.prediction == "yes"]
    one.tell([*positive], 1.0)
    negative = [a for a in asked if a.prediction == "no"]
    one.tell(negative, 0.0)
    one.end_hour()
    rows = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.PERFORMANCE, limit=9)
    reasons = {row.facts.get("reason") for row in rows if row.subject == "accuracy:prediction"}
    assert reasons == {'labels of one class only: "yes"'}
    assert found(one.signals, Kind.PERFORMANCE_DEGRADATION, Condition.HOLDS) == []


def test_a_revised_truth_changes_the_verdict_of_its_window(city: Make) -> None:
    one = city(seed=10)
    asked = one.ask(800)
    one.tell(asked, 0.9)
    one.end_hour()

    def accuracy() -> float:
        rows = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.PERFORMANCE, limit=9)
        return next(row.statistic or 0.0 for row in rows if row.subject == "accuracy:prediction")

    before = accuracy()
    one.tell(asked, 0.2)  # contradicts most of them
    one.end_hour()
    assert before > 0.85
    assert accuracy() < 0.3


def test_rules_that_answer_too_often_and_silence(quick_city: Make) -> None:
    one = quick_city(seed=11)
    for _ in range(3):
        one.ask(400)
        one.end_hour()
    one.ask(400, source="rules", reason="timeout")
    signals = one.end_hour()
    facts = next(
        s.facts
        for s in signals
        if s.kind is Kind.HIGH_FALLBACK_RATE and s.condition is Condition.HOLDS
    )
    assert facts["rate"] == 1.0
    assert facts["reasons"] == {"timeout": facts["n"]}
    one.end_hour()
    silent = one.end_hour()
    assert found(silent, Kind.NO_DATA, Condition.HOLDS) == [""]
    one.ask(400)
    assert found(one.end_hour(), Kind.NO_DATA, Condition.CLEAR) == [""]


def test_refused_rows_raise_an_alert_by_field_and_it_ends(city: Make) -> None:
    one = city(seed=17)
    for _ in range(2):
        one.ask(400)
        one.refuse(8, ["plan"])
        one.refuse(300, [], code="overloaded")  # not the data's fault
        assert found(one.end_hour(), Kind.DATA_QUALITY, Condition.HOLDS) == []
    raised = []
    for _ in range(2):
        one.ask(400)
        one.refuse(100, ["plan", "age"])
        raised += [s for s in one.end_hour() if s.monitor == Monitor.DATA_QUALITY]
    assert [s.condition for s in raised] == [Condition.HOLDS] * 2
    facts = raised[-1].facts
    assert facts["rate"] == pytest.approx(0.2, abs=0.02)
    assert facts["fields"] == {"age": facts["n_refused"], "plan": facts["n_refused"]}
    steps: list[Step] = [Step(None)]
    for signal in raised:
        steps.append(hear(steps[-1].alert, signal, rule_of(signal)))
    assert [step.news for step in steps] == [None, None, News.FIRING]
    for _ in range(2):
        one.ask(400)
        (calm,) = [s for s in one.end_hour() if s.monitor == Monitor.DATA_QUALITY]
        steps.append(hear(steps[-1].alert, calm, rule_of(calm)))
    assert [step.alert and step.alert.state for step in steps[-2:]] == [
        State.FIRING,
        State.RESOLVED,
    ]
    (verdict, *_) = recent_verdicts(
        one.engine, PROJECT, "churn", monitor=Monitor.DATA_QUALITY, limit=1
    )
    assert (str(verdict.state), verdict.facts["n_refused"]) == ("ok", 0)


@postgres_with_the_slow
def test_rows_that_stand_out_raise_an_alert_that_names_their_column(city: Make) -> None:
    def strange(rng: np.random.Generator, n: int) -> dict[str, Any]:
        columns = usual(rng, n)
        columns["age"][: n // 10] *= 100  # a decimal comma that some senders lose
        return columns

    one = city(seed=19, watch=Watch(season=False, outliers=0.03))
    raised = []
    for draw in (usual, strange, strange, usual, usual):
        one.ask(1_000, draw)
        raised += [s for s in one.end_hour() if s.monitor == "outliers"]
    assert [str(s.condition) for s in raised] == ["clear", "holds", "holds", "clear", "clear"]
    facts = raised[2].facts
    assert facts["columns"]["age"] >= 95
    assert facts["usual"] <= 0.01
    assert 0.08 < facts["lower"] < facts["rate"] < facts["upper"] < 0.14
    alert = None
    for signal in raised[:3]:
        alert = hear(alert, signal, rule_of(signal)).alert
    assert alert is not None
    assert alert.state is State.FIRING
    assert "age" in describe(alert, "en").seen
    title = describe(alert, "es").title
    assert title == f"Llegan filas fuera de lo común a churn ({facts['n_outliers']} de 1.000)"
    (verdict, *_) = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.OUTLIERS, limit=9)
    assert (str(verdict.state), verdict.n) == ("ok", 1_000)
    (window, *_) = drift_windows(one.engine, PROJECT, "churn", 1)
    assert window.whole.facts["outliers"]["rate"] == verdict.statistic


def test_a_version_that_cannot_tell_rows_says_so(quick_city: Make) -> None:
    one = quick_city(seed=20, watch=Watch(season=False, outliers=0.03))
    one.plan = WatchPlan()  # its next version is trained before anybody asks
    one.deploy("2")
    one.ask(1_000)
    assert [str(s.condition) for s in one.end_hour() if s.monitor == "outliers"] == ["unknown"]
    (verdict,) = recent_verdicts(one.engine, PROJECT, "churn", monitor=Monitor.OUTLIERS, limit=9)
    assert verdict.facts == {"reason": "no_row_reference"}


def test_a_declared_schema_that_no_version_learned_is_told_until_one_has(quick_city: Make) -> None:
    found = quick_city(schema=Schema(Number("age"), Number("visits"), Category("plan", ["basic"])))

    def told() -> list[Signal]:
        found.ask(60)
        return [one for one in found.end_hour() if one.monitor == "schema"]

    assert [one.condition for one in told()] == [Condition.CLEAR]
    found.schema = Schema(Number("age", ge=0), Category("plan", ["basic"]), Flag("member"))
    found.registry.declare(
        make_manifest(
            found.model, schema=found.schema.to_json(), classes=["no", "yes"], watch=found.plan
        )
    )
    (one,) = told()
    assert (one.kind, one.condition) == (Kind.DATA_QUALITY, Condition.HOLDS)
    assert one.facts == {
        "trained": "churn@1.0.0",
        "differs": ["member", "visits", "age"],
        "added": ["member"],
        "removed": ["visits"],
        "different": ["age"],
    }
    found.deploy("2", draw=lambda rng, n: {**usual(rng, n), "member": rng.random(n) < 0.5})
    assert [one.condition for one in told()] == [Condition.CLEAR]


def test_callers_whose_every_row_is_refused_are_not_called_silent(quick_city: Make) -> None:
    one = quick_city(seed=18)
    for _ in range(3):
        one.ask(400)
        one.end_hour()
    for _ in range(2):
        one.refuse(400, ["age"])
        signals = one.end_hour()
        assert found(signals, Kind.NO_DATA, Condition.HOLDS) == []
        assert found(signals, Kind.DATA_QUALITY, Condition.HOLDS) == [""]


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ("check_drift", "drift"),
        ("check_performance", "performance"),
        ("QualityWatch.check", "quality"),
    ],
)
def test_one_failing_check_stops_no_other(
    quick_city: Make, monkeypatch: pytest.MonkeyPatch, broken: str, name: str
) -> None:
    one = quick_city(seed=12)

    def fail(*given: object) -> None:
        raise ZeroDivisionError(next(it.model for it in given if isinstance(it, Watched)))

    with monkeypatch.context() as patched:
        patched.setattr(f"{checks_module.__name__}.{broken}", fail)
        one.ask(1000)
        one.bench.clock.advance(3600)
        one.drainer.drain_once()
        report = one.checks.run()
    assert [result.check for result in report.failed] == [name]
    others = {r.check: r.state for r in report.results if r.state != "failed"}
    assert {"health", "models"} <= others.keys()
    assert len(others) == 9
    raised = [s for s in one.signals if s.kind is Kind.CHECK_FAILED]
    assert [(s.monitor, s.condition) for s in raised] == [(name, Condition.HOLDS)]
    assert "ZeroDivisionError" in raised[0].facts["error"]
    one.ask(1000)
    one.end_hour()
    raised = [s for s in one.signals if s.kind is Kind.CHECK_FAILED]
    assert raised[-1].condition is Condition.CLEAR


def test_states_have_reasons_where_nothing_can_be_said(quick_city: Make) -> None:
    one = quick_city(seed=13)

    def states() -> dict[str, tuple[str, str]]:
        return {r.check: (r.state, r.reason) for r in one.checks.run().results if r.model}

    assert set(states().values()) == {("unknown", "no_live_drainer")}
    one.drainer.drain_once()
    assert states() == {
        "drift": ("unknown", "no_counted_rows"),
        "performance": ("unknown", "no_labels"),
        "metric_loss": ("idle", ""),
        "estimate": ("unknown", "no_labelled_reference"),
        "concept": ("idle", ""),
        "quality": ("unknown", "no_predictions"),
        "anomaly": ("unknown", "no_predictions"),
    }
    one.ask(30)
    one.end_hour()
    one.end_hour(14 * 24)
    whole = drift_windows(one.engine, PROJECT, "churn", 1)[0].whole
    assert (str(whole.state), whole.facts["reason"]) == ("not_enough", "not enough: 30 of 200")


def test_dead_drainers_hold_no_window_open_and_a_dead_house_judges_nothing(
    quick_city: Make,
) -> None:
    one = quick_city(seed=14)
    one.ask(1000)
    one.bench.clock.advance(3600)
    one.drainer.drain_once()
    with one.engine.begin() as connection:
        connection.execute(update(drainers).values(seen_at=0))
    reasons = {r.check: r.reason for r in one.checks.run().results if r.model}
    assert set(reasons.values()) == {"no_live_drainer"}
    assert drift_windows(one.engine, PROJECT, "churn", 1) == []


def test_repeated_rows_of_a_window_are_shown_beside_the_reference(city: Make) -> None:
    one = city(seed=22)
    twice: list[dict[str, Any]] = []

    def again(rng: np.random.Generator, n: int) -> dict[str, Any]:
        if not twice:
            twice.append(usual(rng, n))
        return twice[0]

    one.ask(500, again)
    one.ask(500, again)
    one.end_hour()
    whole = drift_windows(one.engine, PROJECT, "churn", 1)[0].whole
    found = whole.facts["quality"]["duplicates"]
    assert found["n"] == 1000
    n_different = len(set(zip(*(np.asarray(v).tolist() for v in twice[0].values()), strict=True)))
    assert found["low"] <= 1 - n_different / 1000 <= found["high"]
    assert (found["share_reference"], found["reason_reference"]) == (None, "not_counted")
    lineage = {"split": {"repeats": {"1": 800, "2": 100}}}
    with one.engine.connect() as connection:
        marked = read_marked_rows(connection, PROJECT, "churn", one.hour - 1, one.hour)
    assert 0.09 < repeated_rows(marked, lineage)["share_reference"] <= 0.1
    assert repeated_rows([], lineage)["reason"] == "no_rows"


def test_strange_columns_are_judged_all_the_same(quick_city: Make) -> None:
    one = quick_city(seed=15)

    def strange(rng: np.random.Generator, n: int) -> dict[str, Any]:
        return {
            "age": [None] * n,  # all missing
            "visits": [3] * n,  # constant
            "plan": [f"new {i}" for i in range(n)],  # categories by the thousand
        }

    def scored(rng: np.random.Generator, n: int) -> dict[str, Any]:
        return strange(rng, n) | {"age": rng.normal(40, 10, n).tolist()}

    for _ in range(2):
        one.ask(1000, scored)
        one.end_hour()
    assert {"plan", "visits"} <= set(drift(one.signals))
    with one.engine.connect() as connection:
        longest = connection.scalar(
            select(func.max(func.length(metadata.tables["column_windows"].c.counts)))
        )
    assert longest is not None
    assert longest < 10_000


def test_a_skewed_clock_harms_nobody_else(quick_city: Make) -> None:
    one = quick_city(seed=16)
    century = 100 * 365 * 86_400_000_000
    features = b'{"age":40,"visits":4,"plan":"gold"}'
    one.bench.write(
        one.events.prediction(at=0, features=features),
        one.events.prediction(at=one.bench.clock.now_us() + century, features=features),
        one.events.prediction(at=-century, features=features),
    )
    one.ask(1000)
    one.end_hour()
    windows = drift_windows(one.engine, PROJECT, "churn", 9)
    assert [(w.whole.n, str(w.whole.state)) for w in windows] == [(1000, "ok")]


def test_health_is_kept_when_it_changes_and_every_five_minutes(quick_city: Make) -> None:
    one = quick_city(seed=17)

    def kept() -> int:
        with one.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(health_checks)) or 0

    one.end_hour()
    first = kept()
    one.checks.run()
    assert first == kept() == 8
    one.end_hour()
    assert kept() == 16


def test_a_database_that_was_away_is_told_of_when_it_is_back(quick_city: Make) -> None:
    one = quick_city(seed=17)
    health = HealthLog(one.engine, PROJECT, one.signals.append)
    clock = read_clock(one.engine, PROJECT)

    def told() -> list[tuple[Condition, object]]:
        found = [s for s in one.signals if s.kind is Kind.DATABASE_ERROR]
        one.signals.clear()
        return [(s.condition, s.facts.get("reason")) for s in found]

    health.run(clock)
    assert told() == [(Condition.CLEAR, "reachable")]
    health.run(None)
    health.run(None)
    assert told() == []  # there is nowhere to keep it
    health.run(clock)
    (signal,) = [s for s in one.signals if s.kind is Kind.DATABASE_ERROR]
    assert signal.facts["away_s"] >= 0
    assert rule_of(signal).fire_after == 1
    assert told() == [(Condition.HOLDS, "unreachable")]
    health.run(clock)
    assert told() == [(Condition.CLEAR, "reachable")]


def test_a_restarted_worker_judges_nothing_twice(quick_city: Make) -> None:
    one = quick_city(seed=18)
    for _ in range(3):
        one.ask(1000)
        one.end_hour()
    before = len(one.signals)
    again = checks_module.Checks(
        one.engine, PROJECT, one.bench.clock, one.registry, one.signals.append
    )
    results = {r.check: r for r in again.run().results}
    assert results["drift"].state == "idle"
    assert [s for s in one.signals[before:] if s.kind is Kind.DRIFT_DETECTED] == []

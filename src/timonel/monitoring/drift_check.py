"""Whether requests and answers still look like those of the reference.

A column that drifted in one window is a *warning*; in two of the last three, an *alert*. Where
inputs may follow the season (``Watch(season=True)``), an alert of windows shorter than a week also
needs the last whole week to show it: a night is not a drift.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from timonel.monitoring.verdicts import (
    Verdict,
    VerdictState,
    judged,
    read_ever_alerted,
    read_verdicts,
    write_verdicts,
)
from timonel.monitoring.watched import CheckResult, Watched, closed_hour, first_hour
from timonel.monitoring.windows import HOUR_US, WEEK_H, HourlyCounts, Window, due
from timonel.signals import Condition, Kind, Severity
from timonel.stats.drift import ColumnDrift, DriftReport, DriftState, compare
from timonel.stats.profiles.cells import Ends
from timonel.stats.profiles.profile import ColumnProfile, Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.store.engine import reading
from timonel.store.reads_series import Counted, read_counted, read_counted_hours
from timonel.wire.answer import is_outside

FEATURES, ANSWERS = "feature_drift", "prediction_drift"
MONITORS = (FEATURES, ANSWERS)
MOST_A_RUN = 50
PERSISTENCE = 2  # of the last three
_CLEARED_WITHIN_US = 14 * 24 * HOUR_US
_STATES = {
    DriftState.OK: VerdictState.OK,
    DriftState.DRIFTED: VerdictState.WARNING,
    DriftState.NOT_ENOUGH_DATA: VerdictState.NOT_ENOUGH,
}


def check_drift(watched: Watched) -> CheckResult:
    """Judge the windows that have closed since, or that late rows changed; tell what was found."""
    with reading(watched.engine) as connection:
        closed_h = closed_hour(connection, watched.project)
        if closed_h is None:
            return CheckResult("drift", watched.model, "unknown", "no_live_drainer")
        since_h = first_hour(closed_h)
        counts = HourlyCounts(
            read_counted_hours(connection, watched.project, watched.model, since_h)
        )
        past = read_verdicts(
            connection,
            watched.project,
            watched.model,
            FEATURES,
            since_us=since_h * HOUR_US,
            versions=watched.versions,
            subject="",
        )
    if watched.champion is None:
        return CheckResult("drift", watched.model, "unknown", "no_version")
    if not counts.hours:
        return CheckResult("drift", watched.model, "unknown", "no_counted_rows")
    windows = due(counts, judged(past), closed_h, window_h=watched.plan.window_h)[:MOST_A_RUN]
    by_start = {verdict.start_us: verdict for verdict in past}
    newest = max((verdict.end_us for verdict in past), default=0)
    states = []
    for window in windows:
        before = by_start.get(window.start_us)
        found = _judge(watched, window, None if before is None else before.version)
        states.append(found[0].state)
        if window.end_us > newest:
            newest = window.end_us
            _tell(watched, found)
    if not states:
        return CheckResult("drift", watched.model, "idle")
    return CheckResult("drift", watched.model, str(worst(states)), "", len(states))


def worst(states: Sequence[VerdictState]) -> VerdictState:
    """Give the worst of some states."""
    order = ("alert", "warning", "ok", "not_enough", "unknown")
    return min(states, key=lambda state: order.index(str(state)))


# -- judging one window -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rows:
    """The counted rows of a window and the version they are judged for."""

    window: Window
    version: str
    rows: list[Counted]


def _judge(watched: Watched, window: Window, version: str | None) -> list[Verdict]:
    """Judge a window; the first verdict is the window's own, the others are of its columns."""
    with reading(watched.engine) as connection:
        rows = read_counted(
            connection, watched.project, watched.model, window.start_h, window.end_h
        )
    read = _Rows(window, version or _answering(watched, rows), rows)
    reference = watched.profile_of(read.version)
    if reference is None:
        found = [_of_window(watched, read, VerdictState.UNKNOWN, {"reason": "no_profile"})]
    else:
        found = _judge_columns(watched, read, *reference)
    with watched.engine.begin() as connection:
        write_verdicts(connection, watched.project, found)
    return found


def _answering(watched: Watched, rows: Sequence[Counted]) -> str:
    """Give the version that answered most of a window; the champion where none of ours did.

    A model of the outside has no reference of its own: its inputs are compared with the champion's.
    """
    answered: Counter[str] = Counter()
    for row in rows:
        if row.version and not is_outside(row.version):
            answered[row.version] += row.n
    champion = watched.champion.version if watched.champion is not None else ""
    if not answered:
        return champion
    return max(answered, key=lambda version: (answered[version], version == champion, version))


def _judge_columns(
    watched: Watched, read: _Rows, profile_id: str, reference: Profile
) -> list[Verdict]:
    report = _compare(watched, reference, window_profile(watched, reference, profile_id, read))
    facts: dict[str, Any] = {
        "profile": profile_id,
        "n_tests": report.n_tests,
        "level": report.level,
        "drifted": list(report.drifted_columns),
        "revised": read.window.revised,
    }
    if read.window.n < 200:
        facts["reason"] = f"not enough: {read.window.n} of 200"
    recent = _recent(watched, read)
    candidates = [
        name
        for name in report.drifted_columns
        if sum(name in drifted for drifted in recent) + 1 >= PERSISTENCE
    ]
    confirmed, why = _confirmed(watched, read, profile_id, reference, candidates)
    columns = [
        _of_column(watched, read, column, name in confirmed, why if name in candidates else "")
        for name, column in report.columns.items()
    ]
    states = [verdict.state for verdict in columns]
    state = worst(states) if states else VerdictState.UNKNOWN
    return [_of_window(watched, read, state, facts), *columns]


def _compare(watched: Watched, reference: Profile, current: Profile) -> DriftReport:
    plan = watched.plan
    return compare(reference, current, floor=plan.floor, floors=plan.floors)


def _recent(watched: Watched, read: _Rows) -> list[set[str]]:
    """Give the columns that drifted in each of the two windows before, of those with enough."""
    with reading(watched.engine) as connection:
        past = [
            verdict
            for verdict in read_verdicts(
                connection,
                watched.project,
                watched.model,
                FEATURES,
                since_us=(read.window.start_h - 10 * WEEK_H) * HOUR_US,
                versions=[read.version],
                subject="",
            )
            if verdict.start_us < read.window.start_us
            and verdict.state not in (VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN)
        ]
    return [set(verdict.facts.get("drifted", ())) for verdict in past[:2]]


def _confirmed(
    watched: Watched, read: _Rows, profile_id: str, reference: Profile, candidates: Sequence[str]
) -> tuple[set[str], str]:
    """Give the candidates that may alert, and why the others may not."""
    window = read.window
    if not candidates:
        return set(), ""
    if not watched.plan.season or (window.end_h - window.start_h) >= WEEK_H:
        return set(candidates), ""
    start_h = window.end_h - WEEK_H
    with reading(watched.engine) as connection:
        rows = read_counted(connection, watched.project, watched.model, start_h, window.end_h)
        hours = read_counted_hours(connection, watched.project, watched.model, start_h - 24)
    if min(hours, default=start_h) > start_h + 1:
        return set(), "less than a week of traffic: it may be the season"
    week = replace(read, window=Window(start_h, window.end_h, 0), rows=rows)
    report = _compare(watched, reference, window_profile(watched, reference, profile_id, week))
    return set(report.drifted_columns) & set(candidates), "the last whole week does not show it"


def window_profile(watched: Watched, reference: Profile, profile_id: str, read: _Rows) -> Profile:
    """Add up the rows of a window in the cells of the reference.

    Features are of all traffic, whoever answered; score and prediction of the version alone.
    """
    by_profile: dict[str, list[Counted]] = {}
    for row in read.rows:
        by_profile.setdefault(row.profile_id, []).append(row)
    total: Profile | None = None
    for other, rows in sorted(by_profile.items(), key=lambda item: item[0] != profile_id):
        cells = reference if other == profile_id else _cells_of(watched, rows)
        if cells is None:
            continue
        counted = _added(cells, rows, read.version)
        total = counted if total is None else total + counted
    return reference.empty_like() if total is None else total


def _cells_of(watched: Watched, rows: Sequence[Counted]) -> Profile | None:
    champion = watched.champion.version if watched.champion is not None else ""
    for version in dict.fromkeys([*(row.version for row in rows if row.version), champion]):
        found = watched.profile_of(version)
        if found is not None and found[0] == rows[0].profile_id:
            return found[1]
    return None


def _added(cells: Profile, rows: Sequence[Counted], version: str) -> Profile:
    vectors = {name: np.zeros(c.cells.size, np.int64) for name, c in cells.columns.items()}
    ends = dict.fromkeys(vectors, Ends())
    n = 0
    for row in rows:
        counts = msgspec.json.decode(row.counts)
        n += row.n
        for name, pairs in counts["cells"].items():
            if name in (SCORE, PREDICTION) and row.version != version:
                continue
            if name not in vectors:
                continue
            flat = np.array(pairs, np.int64)
            vectors[name][flat[::2]] += flat[1::2]
            if name in counts["ends"]:
                ends[name] = ends[name] + Ends(*counts["ends"][name])
    return Profile(
        (
            ColumnProfile(
                name, c.cells, vectors[name], None if ends[name] == Ends() else ends[name]
            )
            for name, c in cells.columns.items()
        ),
        n,
    )


# -- verdicts and signals ---------------------------------------------------------------------


def monitor_of(column: str) -> str:
    """Give the monitor that a column belongs to."""
    return ANSWERS if column in (SCORE, PREDICTION) else FEATURES


def _of_window(
    watched: Watched, read: _Rows, state: VerdictState, facts: dict[str, Any]
) -> Verdict:
    return Verdict(
        model=watched.model,
        version=read.version,
        monitor=FEATURES,
        subject="",
        start_us=read.window.start_us,
        end_us=read.window.end_us,
        state=state,
        n=read.window.n,
        facts=facts,
        judged_at=watched.now_us,
    )


def _of_column(
    watched: Watched, read: _Rows, column: ColumnDrift, confirmed: bool, held: str
) -> Verdict:
    state = _STATES[column.state]
    facts: dict[str, Any] = {"test": column.test, "kind": column.kind}
    shown = next((test for test in column.tests if test.kind == column.test), None)
    if shown is not None:
        facts["floor"] = shown.floor
    for name in ("psi", "wasserstein", "jensen_shannon", "reason"):
        if getattr(column, name) is not None:
            facts[name] = getattr(column, name)
    if confirmed:
        state = VerdictState.ALERT
    elif held:
        facts["held"] = held
    return Verdict(
        model=watched.model,
        version=read.version,
        monitor=monitor_of(column.name),
        subject=column.name,
        start_us=read.window.start_us,
        end_us=read.window.end_us,
        state=state,
        n=column.n,
        statistic=column.statistic,
        p_value=column.p_value,
        effect=column.effect,
        facts=facts,
        judged_at=watched.now_us,
    )


def _tell(watched: Watched, found: Sequence[Verdict]) -> None:
    """Raise alerts, and clear what was alerted and holds no more (or was another version's)."""
    window, columns = found[0], found[1:]
    with reading(watched.engine) as connection:
        alerted = read_ever_alerted(
            connection,
            watched.project,
            watched.model,
            MONITORS,
            window.start_us - _CLEARED_WITHIN_US,
        )
    for verdict in columns:
        place = (verdict.version, verdict.monitor, verdict.subject)
        if verdict.state is VerdictState.ALERT:
            _raise(watched, verdict, Condition.HOLDS)
        elif verdict.state is VerdictState.OK and place in alerted:
            _raise(watched, verdict, Condition.CLEAR)
    champion = watched.champion.version if watched.champion is not None else ""
    for version, monitor, subject in sorted(alerted):
        if version not in (champion, window.version):
            watched.tell(
                Kind.DRIFT_DETECTED,
                Condition.CLEAR,
                Severity.MEDIUM,
                at=window.end_us,
                monitor=monitor,
                version=version,
                column=subject,
                facts={"column": subject, "reason": "superseded"},
            )


def _raise(watched: Watched, verdict: Verdict, condition: Condition) -> None:
    watched.tell(
        Kind.DRIFT_DETECTED,
        condition,
        Severity.MEDIUM,
        at=verdict.end_us,
        monitor=verdict.monitor,
        version=verdict.version,
        column=verdict.subject,
        facts={
            "column": verdict.subject,
            "effect": verdict.effect,
            "statistic": verdict.statistic,
            "p_value": verdict.p_value,
            "n": verdict.n,
            "floor": verdict.facts.get("floor"),
            "test": verdict.facts.get("test"),
            "window_start": verdict.start_us,
            "window_end": verdict.end_us,
        },
    )

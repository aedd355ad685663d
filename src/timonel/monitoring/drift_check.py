"""Whether requests and answers still look like those of the reference.

A column that drifted in one window is a *warning*; in two of the last three, an *alert*. Where
inputs may follow the season (``Watch(season=True)``), an alert of windows shorter than a week also
needs the last whole week to show it, until enough quiet windows of its slot are known: a night is
not a drift.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from timonel.monitoring.drift.batch_quality import batch_quality, refused_rows
from timonel.monitoring.drift.calibration import Calibration, Found
from timonel.monitoring.drift.explained import by_mix, explained, importance_of
from timonel.monitoring.drift.outliers import judge_outliers, tell_outliers
from timonel.monitoring.drift.repeats import repeated_rows
from timonel.monitoring.drift.telling import (
    ANSWERS,
    FEATURES,
    WindowRows,
    of_column,
    of_window,
    tell,
    tell_again,
)
from timonel.monitoring.series.month import LOOK_BACK_H
from timonel.monitoring.verdicts import (
    JudgedWindows,
    Verdict,
    VerdictState,
    read_judged,
    read_judged_before,
    read_verdicts,
    write_verdicts,
)
from timonel.monitoring.watched import CheckResult, Watched
from timonel.monitoring.windows import HOUR_US, WEEK_H, HourlyCounts, Window, due, local_grid
from timonel.stats.drift import FEWEST_ROWS, DriftReport, Scale, compare
from timonel.stats.profiles.cells import Ends
from timonel.stats.profiles.profile import ColumnProfile, Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.store.engine import reading
from timonel.store.reads_series import (
    Counted,
    read_counted,
    read_counted_hours,
    read_marked_rows,
    read_refused,
)
from timonel.store.reads_windows import read_unit_sizes
from timonel.wire.answer import is_outside

__all__ = ["ANSWERS", "FEATURES", "check_drift", "window_profile", "worst"]

MOST_A_RUN = 50
PERSISTENCE = 2  # of the last three
_LOOKED_BACK = 20
"""Windows among which the last two with enough rows are looked for."""


def check_drift(watched: Watched) -> CheckResult:
    """Judge the windows that have closed since, or that late rows changed; tell what was found."""
    closed_h = watched.month.closed_hour()
    if closed_h is None:
        return CheckResult("drift", watched.model, "unknown", "no_live_drainer")
    grid = local_grid(watched.zone)
    since_h, _ = grid(closed_h - LOOK_BACK_H, WEEK_H)  # whole weeks, so that none is cut
    counts = HourlyCounts(*watched.month.counted(since_h).in_all())
    with reading(watched.engine) as connection:
        past = read_judged(
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
    if not len(counts.hours):
        return CheckResult("drift", watched.model, "unknown", "no_counted_rows")
    windows = due(counts, past.hours(), closed_h, window_h=watched.plan.window_h, grid=grid)
    windows = windows[:MOST_A_RUN]
    zone = watched.zone if watched.plan.season else None
    calibration = Calibration(watched.engine, watched.project, watched.model, zone)
    newest = past.newest_us
    states = []
    for window in windows:
        before = past.of(window.start_us)
        version = None if before is None else before.version
        found, standing_out = _judge(watched, calibration, window, version)
        states.append(found[0].state)
        if window.end_us > newest:
            newest = window.end_us
            tell(watched, found)
            tell_outliers(watched, standing_out)
        elif window.end_us == newest:
            tell_again(watched, found)
    n_learned = _learn(watched, calibration, past, MOST_A_RUN - len(states))
    state = str(worst(states)) if states else "idle"
    return CheckResult("drift", watched.model, state, "", len(states) + n_learned)


def _learn(watched: Watched, calibration: Calibration, past: JudgedWindows, most: int) -> int:
    """Test windows of before a promotion against the new champion's reference; give how many.

    They raise nothing: without them every new version would begin to learn its season anew.
    """
    champion = watched.champion.version if watched.champion is not None else ""
    reference = watched.profile_of(champion)
    if reference is None:
        return 0
    profile_id, profile = reference
    said = {VerdictState.OK, VerdictState.WARNING, VerdictState.ALERT}
    known = calibration.known(profile_id, profile.names)
    hours = past.hours()
    unknown = [
        at
        for at, start_h, end_h in zip(
            reversed(range(len(past))),
            reversed(hours.start_h.tolist()),
            reversed(hours.end_h.tolist()),
            strict=True,
        )
        if past.states[at] in said and not known(start_h, end_h)
    ]
    for at in unknown[:most]:
        verdict = past[at]
        window = Window(verdict.start_us // HOUR_US, verdict.end_us // HOUR_US, verdict.n)
        with reading(watched.engine) as connection:
            rows = read_counted(
                connection, watched.project, watched.model, window.start_h, window.end_h
            )
            [whole] = read_verdicts(
                connection,
                watched.project,
                watched.model,
                FEATURES,
                since_us=window.start_us,
                before_us=window.start_us + 1,
                versions=[verdict.version],
                subject="",
            )
        read = WindowRows(window, champion, rows)
        report = _compare(watched, profile, window_profile(watched, profile, profile_id, read))
        facts = whole.facts
        found = Found(list(facts.get("drifted", ())), list(facts.get("alerted", ())))
        with watched.engine.begin() as connection:
            calibration.keep(connection, window, profile_id, report, found)
    return min(len(unknown), max(most, 0))


def worst(states: Sequence[VerdictState]) -> VerdictState:
    """Give the worst of some states."""
    order = ("alert", "warning", "ok", "not_enough", "unknown")
    return min(states, key=lambda state: order.index(str(state)))


# -- judging one window -----------------------------------------------------------------------


def _judge(
    watched: Watched, calibration: Calibration, window: Window, version: str | None
) -> tuple[list[Verdict], Verdict | None]:
    """Judge a window; the first verdict is the window's own, the others are of its columns.

    Beside them stands that on rows that stand out, where the model asks for it.
    """
    with reading(watched.engine) as connection:
        rows = read_counted(
            connection, watched.project, watched.model, window.start_h, window.end_h
        )
    read = WindowRows(window, version or _answering(watched, rows), rows)
    reference = watched.profile_of(read.version)
    if reference is None:
        found = [of_window(watched, read, VerdictState.UNKNOWN, {"reason": "no_profile"})]
        with watched.engine.begin() as connection:
            write_verdicts(connection, watched.project, found)
        return found, None
    clustering = _clustering(watched, window)
    standing_out = judge_outliers(watched, read, clustering)
    report, found = _judge_columns(watched, calibration, read, *reference, clustering)
    if standing_out is not None:
        whole = found[0]
        facts = {**whole.facts, "outliers": {"state": standing_out.state, **standing_out.facts}}
        found[0] = replace(whole, facts=facts)
    with watched.engine.begin() as connection:
        write_verdicts(connection, watched.project, [*found, *filter(None, [standing_out])])
        calibration.keep(connection, window, reference[0], report, _found(found))
    return found, standing_out


def _found(verdicts: Sequence[Verdict]) -> Found:
    columns = verdicts[1:]
    alerted = [v.subject for v in columns if v.state is VerdictState.ALERT]
    return Found([v.subject for v in columns if v.found], alerted)


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
    watched: Watched,
    calibration: Calibration,
    read: WindowRows,
    profile_id: str,
    reference: Profile,
    clustering: float,
) -> tuple[DriftReport, list[Verdict]]:
    scales = calibration.scales(read.window, profile_id, reference.names)
    current = window_profile(watched, reference, profile_id, read)
    report = _compare(watched, reference, current, scales, clustering)
    recent = _recent(watched, read)
    candidates = [
        name
        for name in report.drifted_columns
        if sum(name in drifted for drifted in recent) + 1 >= PERSISTENCE
    ]
    strange = [name for name in candidates if name not in scales]
    confirmed, why = _confirmed(watched, read, profile_id, reference, strange)
    confirmed |= {name for name in candidates if name in scales}
    columns = [
        of_column(watched, read, column, name in confirmed, why if name in candidates else "")
        for name, column in report.columns.items()
    ]
    states = [verdict.state for verdict in columns]
    state = worst(states) if states else VerdictState.UNKNOWN
    facts = {
        "profile": profile_id,
        "alerted": sorted(confirmed),
        "explained": _explained(watched, read.version, report, reference, current),
        "quality": _quality(watched, read, reference, current),
        "refused": _refused(watched, read.window),
        **_facts_of(report, read.window, scales, clustering),
    }
    return report, [of_window(watched, read, state, facts), *columns]


def _quality(
    watched: Watched, read: WindowRows, reference: Profile, current: Profile
) -> dict[str, Any] | None:
    found, window, champion = batch_quality(reference, current), read.window, watched.champion
    if found is None:
        return None
    with reading(watched.engine) as connection:
        marked = read_marked_rows(
            connection, watched.project, watched.model, window.start_h, window.end_h
        )
    mine = champion is not None and champion.version == read.version
    lineage = champion.lineage if champion is not None and mine else {}
    return {**found, "duplicates": repeated_rows(marked, lineage)}


def _refused(watched: Watched, window: Window) -> dict[str, Any]:
    with reading(watched.engine) as connection:
        rows = read_refused(
            connection, watched.project, watched.model, window.start_h * 60, window.end_h * 60
        )
    n_refused, fields = refused_rows(rows)
    return {"n": n_refused, "share": n_refused / (window.n + n_refused), "fields": fields}


def _explained(
    watched: Watched, version: str, report: DriftReport, reference: Profile, current: Profile
) -> list[dict[str, Any]]:
    champion = watched.champion
    metrics = champion.metrics if champion is not None and champion.version == version else {}
    moved = [report.columns[name] for name in report.drifted_columns]
    inputs = [column for column in moved if column.name not in (SCORE, PREDICTION)]
    parts = by_mix((column.name for column in inputs), metrics, reference, current)
    ranked = explained(inputs, importance_of(metrics))
    return [{**one, "performance": parts[one["column"]]} for one in ranked]


def _facts_of(
    report: DriftReport, window: Window, scales: Mapping[str, Scale], clustering: float
) -> dict[str, Any]:
    """Give the facts of a window as a whole."""
    facts: dict[str, Any] = {
        "n_tests": report.n_tests,
        "level": report.level,
        "drifted": list(report.drifted_columns),
        "revised": window.revised,
        "calibrated": len(scales),
    }
    if scales:
        facts["quiet_windows"] = min(scale.n_windows for scale in scales.values())
    if clustering > 1.0:
        facts["rows_a_unit"] = round(clustering, 2)
    units = int(window.n / clustering)
    if window.n < FEWEST_ROWS:
        facts["reason"] = f"not enough: {window.n} of {FEWEST_ROWS}"
    elif units < FEWEST_ROWS:
        facts["reason"] = f"not enough: {units} units of {FEWEST_ROWS}"
    return facts


def _clustering(watched: Watched, window: Window) -> float:
    """Give how many rows of its own unit a row meets in a window, itself included."""
    with reading(watched.engine) as connection:
        sizes = read_unit_sizes(
            connection, watched.project, watched.model, window.start_us, window.end_us
        )
    return sum(n * n for n in sizes) / sum(sizes) if sizes else 1.0


def _compare(
    watched: Watched,
    reference: Profile,
    current: Profile,
    scales: Mapping[str, Scale] | None = None,
    clustering: float = 1.0,
) -> DriftReport:
    plan = watched.plan
    return compare(
        reference,
        current,
        floor=plan.floor,
        floors=plan.floors,
        scales=scales,
        clustering=clustering,
        rule=plan.rule,
        rules=plan.rules,
    )


def _recent(watched: Watched, read: WindowRows) -> list[set[str]]:
    """Give the columns that drifted in each of the two windows before, of those with enough."""
    with reading(watched.engine) as connection:
        newest = read_judged_before(
            connection,
            watched.project,
            watched.model,
            FEATURES,
            since_us=(read.window.start_h - 10 * WEEK_H) * HOUR_US,
            before_us=read.window.start_us,
            version=read.version,
            most=_LOOKED_BACK,
        )
    silent = (VerdictState.NOT_ENOUGH, VerdictState.UNKNOWN)
    past = [at for at, state in enumerate(newest.states) if state not in silent]
    return [set(newest[at].facts.get("drifted", ())) for at in past[:2]]


def _confirmed(
    watched: Watched,
    read: WindowRows,
    profile_id: str,
    reference: Profile,
    candidates: Sequence[str],
) -> tuple[set[str], str]:
    """Give the candidates that may alert, and why the others may not."""
    window = read.window
    if not candidates:
        return set(), ""
    # a week in which clocks are set forward has an hour less
    if not watched.plan.season or (window.end_h - window.start_h) >= WEEK_H - 1:
        return set(candidates), ""
    start_h = window.end_h - WEEK_H
    with reading(watched.engine) as connection:
        rows = read_counted(connection, watched.project, watched.model, start_h, window.end_h)
        hours = read_counted_hours(connection, watched.project, watched.model, start_h - 24)
    if len(hours.hour) and hours.hour[0] > start_h + 1:
        return set(), "less than a week of traffic: it may be the season"
    week = replace(read, window=Window(start_h, window.end_h, 0), rows=rows)
    current = window_profile(watched, reference, profile_id, week)
    report = _compare(watched, reference, current, None, _clustering(watched, week.window))
    return set(report.drifted_columns) & set(candidates), "the last whole week does not show it"


def window_profile(
    watched: Watched, reference: Profile, profile_id: str, read: WindowRows
) -> Profile:
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

"""What was found of a window's columns, as verdicts that are kept and as signals to the alerts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from timonel.monitoring.verdicts import Verdict, VerdictState
from timonel.monitoring.watched import Watched
from timonel.monitoring.windows import Window
from timonel.signals import Condition, Kind, Severity
from timonel.stats.drift import ColumnDrift, DriftState
from timonel.stats.profiles.findings import Rule
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.stats.profiles.rules import CONFIDENCE_HIGH
from timonel.stats.profiles.units import UnitChange
from timonel.store.reads_series import Counted
from timonel.store.reads_windows import DRIFT_MONITORS

MONITORS = DRIFT_MONITORS
FEATURES, ANSWERS = MONITORS
_SPANISH_UNITS = {"inch": "pulgada"}
_STATES = {
    DriftState.OK: VerdictState.OK,
    DriftState.DRIFTED: VerdictState.WARNING,
    DriftState.NOT_ENOUGH_DATA: VerdictState.NOT_ENOUGH,
}


@dataclass(frozen=True, slots=True)
class WindowRows:
    """The counted rows of a window and the version they are judged for."""

    window: Window
    version: str
    rows: list[Counted]


def monitor_of(column: str) -> str:
    """Give the monitor that a column belongs to."""
    return ANSWERS if column in (SCORE, PREDICTION) else FEATURES


def of_window(
    watched: Watched, read: WindowRows, state: VerdictState, facts: dict[str, Any]
) -> Verdict:
    """Give the verdict on a window as a whole."""
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


def of_column(
    watched: Watched, read: WindowRows, column: ColumnDrift, confirmed: bool, held: str
) -> Verdict:
    """Give the verdict on a column: an alert if ``confirmed``, else held back for a reason."""
    state = _STATES[column.state]
    facts: dict[str, Any] = {"test": column.test, "kind": column.kind}
    shown = next((test for test in column.tests if test.kind == column.test), None)
    if shown is not None:
        facts["floor"] = shown.floor
    for name in ("psi", "wasserstein", "jensen_shannon", "reason"):
        if getattr(column, name) is not None:
            facts[name] = getattr(column, name)
    if column.unit_change is not None and monitor_of(column.name) == FEATURES:
        facts["unit_change"] = asdict(column.unit_change)
        facts["looks_like"] = looks_like(column.unit_change)
    if column.text is not None and column.drifted:
        facts["text"] = asdict(column.text)
    if column.phi > 1.0:
        facts["phi"] = round(column.phi, 3)
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


def looks_like(change: UnitChange) -> dict[str, str]:
    """Say a conversion in every language.

    Examples
    --------
    >>> looks_like(UnitChange(2.54, now="cm", before="inch"))["en"]
    'cm instead of inch: x 2.54'
    >>> looks_like(UnitChange(0.01))["es"]
    'otra unidad o la coma corrida: x 0,01'
    """
    how = f"x {change.factor:.4g}"
    if change.shift:
        how += f" {'+' if change.shift > 0 else '-'} {abs(change.shift):.4g}"
    if change.now is None or change.before is None:
        en, es = "another unit or a moved decimal point", "otra unidad o la coma corrida"
    else:
        en = f"{change.now} instead of {change.before}"
        now, before = (_SPANISH_UNITS.get(unit, unit) for unit in (change.now, change.before))
        es = f"{now} en vez de {before}"
    return {"en": f"{en}: {how}", "es": f"{es}: {how.replace('.', ',')}"}


def tell(watched: Watched, found: Sequence[Verdict]) -> None:
    """Raise alerts, and clear what was alerted and holds no more (or was another version's)."""
    window, columns = found[0], found[1:]
    alerted = watched.ever_alerted(MONITORS, window.start_us)
    for verdict in columns:
        place = (verdict.version, verdict.monitor, verdict.subject)
        if verdict.state is VerdictState.ALERT:
            _raise(watched, verdict, Condition.HOLDS)
        elif verdict.state is VerdictState.OK and place in alerted:
            _raise(watched, verdict, Condition.CLEAR)
    champion = watched.champion.version if watched.champion is not None else ""
    for version, monitor, subject in alerted:
        if version not in (champion, window.version):
            watched.supersede(
                Kind.DRIFT_DETECTED,
                Severity.MEDIUM,
                at=window.end_us,
                monitor=monitor,
                version=version,
                column=subject,
                facts={"column": subject},
            )


def tell_again(watched: Watched, found: Sequence[Verdict]) -> None:
    """Raise what late rows made of the newest window: alerts with the figures of all its rows.

    That a column is calm after all is one look's word as it was before: the next window says it.
    """
    for verdict in found[1:]:
        if verdict.state is VerdictState.ALERT:
            _raise(watched, verdict, Condition.HOLDS, revised=True)


def _raise(
    watched: Watched, verdict: Verdict, condition: Condition, *, revised: bool = False
) -> None:
    watched.tell(
        Kind.DRIFT_DETECTED,
        condition,
        _severity(verdict),
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
            "looks_like": verdict.facts.get("looks_like"),
            "window_start": verdict.start_us,
            "window_end": verdict.end_us,
            "revised": revised,
        },
    )


def _severity(verdict: Verdict) -> Severity:
    by_confidence = verdict.facts.get("test") == Rule.CONFIDENCE
    far = by_confidence and (verdict.effect or 0.0) > CONFIDENCE_HIGH
    return Severity.HIGH if far else Severity.MEDIUM

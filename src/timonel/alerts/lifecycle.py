"""The life of an alert, pure: what a signal or a person makes of it, and what there is to tell.

pending -> firing -> acknowledged -> resolved. Nothing here reads a clock or a database: the moment
comes with the signal, so that a replay of the same signals gives the same alerts.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from timonel.alerts.alert import Alert, News, State, rank, worst
from timonel.signals import Condition, Kind, Signal

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
CALM_TRANSITIONS = 4  # an hour; more is flapping


@dataclass(frozen=True, slots=True)
class Rule:
    """How persistent a condition must be.

    Parameters
    ----------
    fire_after : int
        It fires when it has held so often, with never ``clear_after`` clear ones in between: 2 is
        "two of the last three".
    clear_after : int
        It ends when it has been clear so often in a row.
    repeat_us : int
        While it fires and nobody took it, it is told again after so long; and one resolved by
        hand that was never clear since may fire again after so long.
    """

    fire_after: int = 2
    clear_after: int = 2
    repeat_us: int = DAY_US


_AT_ONCE = Rule(fire_after=1)  # whoever raises it has already judged persistence
_ONE_TURN = Rule(fire_after=1, clear_after=1)  # an event, undone by one success
_RULES = {
    Kind.DRIFT_DETECTED: _AT_ONCE,
    Kind.PERFORMANCE_DEGRADATION: _AT_ONCE,
    Kind.EXPERIMENT_HARM: _AT_ONCE,
    Kind.NO_DATA: Rule(fire_after=1, clear_after=1),
    Kind.JOB_FAILED: _ONE_TURN,
    Kind.APPROVAL_PENDING: _ONE_TURN,
    Kind.NOTIFIER_FAILED: Rule(fire_after=2, clear_after=1),
}


def rule_of(signal: Signal) -> Rule:
    """Give the rule of a signal: its kind's, unless its monitor's own verdict is stronger.

    A fact ``verdict`` says "alert" (fires at once: the monitor has seen enough) or "warning"
    (fires at the second of three). What is clear because its version was replaced ends at once:
    nobody looks a second time.
    """
    rule = _RULES.get(signal.kind, Rule())
    if superseded(signal):
        return replace(rule, clear_after=1)
    match signal.facts.get("verdict"):
        case "alert":
            return replace(rule, fire_after=1)
        case "warning":
            return replace(rule, fire_after=max(2, rule.fire_after))
        case _:
            return rule


def superseded(signal: Signal) -> str:
    """Say why a signal ends an alert for good; "" where it is an ordinary look."""
    if signal.condition is not Condition.CLEAR:
        return ""
    successor = signal.facts.get("replaced_by")
    if successor:
        return f"replaced by {successor}"
    return "superseded" if signal.facts.get("reason") == "superseded" else ""


class Step(NamedTuple):
    """The alert as a signal left it (None: there is none), and what there is to tell."""

    alert: Alert | None
    news: News | None = None


def hear(latest: Alert | None, signal: Signal, rule: Rule) -> Step:
    """Let a signal act on the latest alert of its fingerprint.

    Parameters
    ----------
    latest : Alert or None
        The active one, else the last that was resolved, else None.

    Returns
    -------
    Step
        An alert with ``alert_id`` 0 is a new one; the very object given means "nothing changed".

    Notes
    -----
    Signals of before the last one heard are old news, and one of the same moment and condition is
    the same observation, told by another process: neither counts. Where its facts say that it was
    ``revised``, they take the place of those before: it was measured again.
    """
    if signal.condition is Condition.UNKNOWN or (latest and signal.at < latest.last_seen_at):
        return Step(latest)
    holds = signal.condition is Condition.HOLDS
    if latest is None:
        return _opened(signal, rule, None) if holds else Step(None)
    if not latest.active:
        return _after_the_end(latest, signal, rule)
    if signal.at == latest.last_seen_at and holds == (latest.n_clear == 0):
        anew = signal.facts.get("revised") and signal.facts != latest.facts
        return Step(replace(latest, facts=signal.facts) if anew else latest)
    return _held(latest, signal, rule) if holds else _clear(latest, signal, rule)


def _opened(signal: Signal, rule: Rule, before: Alert | None) -> Step:
    fires = rule.fire_after <= 1
    alert = Alert(
        fingerprint=signal.fingerprint,
        kind=signal.kind,
        severity=signal.severity,
        model=signal.model,
        version=signal.version,
        monitor=signal.monitor,
        column=signal.column,
        state=State.FIRING if fires else State.PENDING,
        facts=signal.facts,
        opened_at=signal.at,
        fired_at=signal.at if fires else None,
        last_seen_at=signal.at,
        # whoever asked for quiet did not mean this episode only
        silenced_until=before.silenced_until if before and before.silenced(signal.at) else None,
    )
    return Step(alert, News.FIRING if fires else None)


def _after_the_end(latest: Alert, signal: Signal, rule: Rule) -> Step:
    by_hand = latest.resolved_by is not None
    if signal.condition is Condition.CLEAR:
        if by_hand and latest.n_clear == 0 and signal.at > latest.last_seen_at:
            return Step(replace(latest, n_clear=1, last_seen_at=signal.at))
        return Step(latest)
    if signal.at == latest.last_seen_at:
        return Step(latest)
    resolved_at = latest.resolved_at or latest.last_seen_at
    if by_hand and latest.n_clear == 0 and signal.at < resolved_at + rule.repeat_us:
        return Step(latest)  # a person has said that this is dealt with
    return _opened(signal, rule, latest)


def _held(alert: Alert, signal: Signal, rule: Rule) -> Step:
    rose = rank(signal.severity) > rank(alert.severity)
    heard = replace(
        alert,
        severity=worst(signal.severity, alert.severity),
        facts=signal.facts,
        last_seen_at=signal.at,
        n_seen=alert.n_seen + 1,
        n_clear=0,
        revision=alert.revision + rose,
    )
    if alert.state is State.PENDING:
        if heard.n_seen < rule.fire_after:
            return Step(heard)
        fired = replace(heard, state=State.FIRING, fired_at=signal.at, revision=alert.revision + 1)
        return Step(fired, News.FIRING)
    if rose and alert.notified_at is not None:
        return Step(heard, News.WORSE)
    return Step(heard, _still(heard, signal.at, rule))


def _still(alert: Alert, at: int, rule: Rule) -> News | None:
    if alert.state is not State.FIRING:
        return None
    if alert.notified_at is None:  # it was silenced, inhibited or held when it began
        return News.FIRING
    return News.REPEATED if at >= alert.notified_at + rule.repeat_us else None


def _clear(alert: Alert, signal: Signal, rule: Rule) -> Step:
    heard = replace(alert, n_clear=alert.n_clear + 1, last_seen_at=signal.at)
    if heard.n_clear < rule.clear_after:
        return Step(heard)
    return ended(heard, signal.at, None, None)


def ended(alert: Alert, at: int, who: str | None, note: str | None) -> Step:
    """Resolve an active alert; ``who`` None: by itself. Nobody is told who was not told before."""
    done = replace(
        alert,
        state=State.RESOLVED,
        resolved_at=at,
        resolved_by=who,
        note=note,
        n_clear=0 if who is not None else alert.n_clear,
        revision=alert.revision + 1,
    )
    return Step(done, News.RESOLVED if alert.notified_at is not None else None)


class Speech(StrEnum):
    """What becomes of news."""

    TOLD = "told"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    FLAPPING = "flapping"  # one notice, in place of the news
    HELD = "held"  # flapping, and the notice has been given


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides, besides the alert, whether news of it is told.

    Parameters
    ----------
    inhibited : bool
        An alert that explains this one is active.
    n_transitions : int
        How often this condition fired or ended in the last hour, this time included.
    flapping_said : bool
        A flapping notice, or something held because of it, lies in that hour.
    """

    inhibited: bool = False
    n_transitions: int = 0
    flapping_said: bool = False


def speech(alert: Alert, at: int, around: Surroundings) -> Speech:
    """Decide whether news of an alert is told at a moment."""
    if alert.silenced(at):
        return Speech.SILENCED
    if around.inhibited:
        return Speech.INHIBITED
    if around.n_transitions > CALM_TRANSITIONS:
        return Speech.HELD if around.flapping_said else Speech.FLAPPING
    return Speech.TOLD


def inhibitors(alert: Alert) -> tuple[Kind, ...]:
    """Give the kinds that, active for the same model (or for all), explain an alert away."""
    if alert.kind is Kind.DRIFT_DETECTED:
        return (Kind.SERVICE_DOWN,)
    return ()

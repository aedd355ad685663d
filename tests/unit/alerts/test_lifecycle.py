from dataclasses import replace

import pytest

from timonel.alerts.alert import Alert, News, State
from timonel.alerts.lifecycle import (
    DAY_US,
    Rule,
    Speech,
    Step,
    Surroundings,
    ended,
    hear,
    rule_of,
    speech,
)
from timonel.signals import Condition, Kind, Severity
from timonel.testing.alerts import MINUTE, START, make_signal

TWO = Rule(fire_after=2, clear_after=2)
ONCE = Rule(fire_after=1, clear_after=2)


def told(alert: Alert) -> Alert:
    return replace(alert, alert_id=1, notified_at=alert.fired_at)


def after(conditions: str, rule: Rule = TWO, before: Alert | None = None) -> Step:
    """Hear one signal a minute: H holds, C clear, ? unknown; the news is the last one's."""
    words = {"H": "holds", "C": "clear", "?": "unknown"}
    step = Step(before)
    for minute, letter in enumerate(conditions):
        step = hear(step.alert, make_signal(minute, words[letter]), rule)
        if step.news is News.FIRING and step.alert is not None:
            step = Step(told(step.alert), step.news)
    return step


def alert_after(conditions: str, rule: Rule = TWO) -> Alert:
    found = after(conditions, rule).alert
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ("H", State.PENDING),
        ("HH", State.FIRING),
        ("HCH", State.FIRING),  # two of the last three
        ("HC", State.PENDING),
        ("HCC", State.RESOLVED),
        ("H?", State.PENDING),
        ("H?H", State.FIRING),
        ("HHC", State.FIRING),
        ("HHCHC", State.FIRING),
        ("HHCC", State.RESOLVED),
        ("HHC?C", State.RESOLVED),
        ("HH??????", State.FIRING),
    ],
)
def test_persistence(conditions: str, state: State) -> None:
    assert alert_after(conditions).state is state


@pytest.mark.parametrize("conditions", ["", "C", "?", "CC?"])
def test_nothing_opens_without_something_that_holds(conditions: str) -> None:
    assert after(conditions) == Step(None, None)


def test_a_verdict_fires_at_once_and_tells() -> None:
    step = after("H", ONCE)
    assert step.news is News.FIRING
    assert step.alert is not None
    assert (step.alert.state, step.alert.fired_at) == (State.FIRING, START)


def test_the_monitors_own_verdict_is_stronger_than_the_kind() -> None:
    slow = make_signal(kind=Kind.SLOW_RESPONSE)
    assert rule_of(slow).fire_after == 2
    assert rule_of(replace(slow, facts={"verdict": "alert"})).fire_after == 1
    assert rule_of(make_signal()).fire_after == 1
    assert rule_of(make_signal(facts={"verdict": "warning"})).fire_after == 2


def test_the_same_observation_told_twice_counts_once() -> None:
    pending = alert_after("H")
    assert hear(pending, make_signal(0), TWO).alert is pending
    firing = alert_after("HHC")
    assert hear(firing, make_signal(2, "clear"), TWO).alert is firing


def test_old_news_changes_nothing() -> None:
    ended_alert = alert_after("HHCC")
    assert hear(ended_alert, make_signal(1), TWO).alert is ended_alert
    firing = alert_after("HH")
    assert hear(firing, make_signal(0, "clear"), TWO).alert is firing


def test_one_that_ended_by_itself_opens_anew() -> None:
    step = hear(alert_after("HHCC"), make_signal(9), ONCE)
    assert step.alert is not None
    assert (step.alert.alert_id, step.alert.state) == (0, State.FIRING)


def by_hand(alert: Alert, minute: float) -> Alert:
    done = ended(alert, START + round(minute * MINUTE), "ana", "known").alert
    assert done is not None
    return done


def test_one_resolved_by_hand_stays_quiet_until_it_was_clear_once() -> None:
    done = by_hand(alert_after("HHC"), 2.5)
    quiet = hear(done, make_signal(3), ONCE)
    assert quiet.alert is done
    cleared = hear(done, make_signal(4, "clear"), ONCE).alert
    assert cleared is not None
    assert cleared.state is State.RESOLVED
    again = hear(cleared, make_signal(5), ONCE)
    assert again.news is News.FIRING
    assert again.alert is not None
    assert again.alert.alert_id == 0


def test_one_resolved_by_hand_fires_again_after_repeat() -> None:
    done = by_hand(alert_after("HH"), 2)
    assert hear(done, make_signal(2 + 24 * 60 - 1), ONCE).news is None
    assert hear(done, make_signal(2 + 24 * 60), ONCE).news is News.FIRING


def test_what_was_never_told_is_not_said_to_be_over() -> None:
    silent = replace(alert_after("HH"), notified_at=None)
    assert ended(silent, START, "ana", "").news is None
    assert ended(told(silent), START, "ana", "").news is News.RESOLVED


def test_a_firing_one_repeats_daily_until_somebody_takes_it() -> None:
    firing = alert_after("HH")
    assert hear(firing, make_signal(60), TWO).news is None
    assert hear(firing, make_signal(1 + 24 * 60), TWO).news is News.REPEATED
    taken = replace(firing, state=State.ACKNOWLEDGED)
    step = hear(taken, make_signal(1 + 24 * 60), TWO)
    assert step.news is None
    assert step.alert is not None
    assert step.alert.state is State.ACKNOWLEDGED


def test_rising_severity_is_news_and_falling_is_not() -> None:
    firing = alert_after("HH")
    worse = hear(firing, make_signal(3, severity=Severity.CRITICAL), TWO)
    assert worse.news is News.WORSE
    assert worse.alert is not None
    assert worse.alert.revision == firing.revision + 1
    milder = hear(worse.alert, make_signal(4, severity=Severity.LOW), TWO)
    assert milder.news is None
    assert milder.alert is not None
    assert milder.alert.severity is Severity.CRITICAL


@pytest.mark.parametrize("facts", [{"reason": "superseded"}, {"replaced_by": "1.1.0"}])
def test_a_version_that_was_replaced_needs_no_second_look(facts: dict[str, str]) -> None:
    gone = make_signal(3, "clear", facts=facts)
    assert rule_of(gone).clear_after == 1
    step = hear(alert_after("HH"), gone, rule_of(gone))
    assert step.news is News.RESOLVED
    assert rule_of(replace(gone, condition=Condition.HOLDS)).clear_after == 2


def test_silence_passes_on_to_the_next_episode() -> None:
    silent = replace(alert_after("HHCC"), silenced_until=START + DAY_US)
    again = hear(silent, make_signal(9), ONCE).alert
    assert again is not None
    assert again.silenced(START + 9 * MINUTE)
    much_later = hear(silent, make_signal(25 * 60), ONCE).alert
    assert much_later is not None
    assert much_later.silenced_until is None


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        (Surroundings(), Speech.TOLD),
        (Surroundings(n_transitions=4), Speech.TOLD),
        (Surroundings(n_transitions=5), Speech.FLAPPING),
        (Surroundings(n_transitions=6, flapping_said=True), Speech.HELD),
        (Surroundings(n_transitions=3, flapping_said=True), Speech.TOLD),
        (Surroundings(inhibited=True, n_transitions=5), Speech.INHIBITED),
    ],
)
def test_what_becomes_of_news(around: Surroundings, expected: Speech) -> None:
    alert = alert_after("HH")
    assert speech(alert, START, around) is expected
    silent = replace(alert, silenced_until=START + 1)
    assert speech(silent, START, around) is Speech.SILENCED
    assert speech(silent, START + 1, around) is expected

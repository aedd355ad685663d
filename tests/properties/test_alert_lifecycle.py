"""The life of an alert, whatever signals come, in whatever order and however often."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from timonel.alerts.alert import Alert, News, State
from timonel.alerts.lifecycle import Rule, hear
from timonel.signals import Condition, Severity, Signal
from timonel.testing.alerts import make_signal

RULES = st.builds(
    Rule, fire_after=st.integers(1, 3), clear_after=st.integers(1, 3), repeat_us=st.just(10**9)
)
SIGNALS = st.lists(
    st.builds(
        lambda minute, condition, severity: make_signal(minute, condition, severity=severity),
        st.integers(0, 30),
        st.sampled_from(list(Condition)),
        st.sampled_from(list(Severity)),
    ),
    max_size=40,
)


def told(signals: list[Signal], rule: Rule, times: int = 1) -> tuple[list[Alert], list[News]]:
    """Hear every signal so many times; gives all episodes as they ended, and the news."""
    episodes: list[Alert] = []
    news: list[News] = []
    latest: Alert | None = None
    for signal in [signal for signal in signals for _ in range(times)]:
        alert, said = hear(latest, signal, rule)
        if said is not None:
            news.append(said)
            assert alert is not None
            alert = replace(alert, notified_at=signal.at)
        if alert is None or alert is latest:
            continue
        if alert.alert_id == 0:
            alert = replace(alert, alert_id=len(episodes) + 1)
            episodes.append(alert)
        episodes[alert.alert_id - 1] = latest = alert
    return episodes, news


@given(SIGNALS, RULES)
def test_hearing_each_signal_twice_changes_nothing(signals: list[Signal], rule: Rule) -> None:
    assert told(signals, rule, times=2) == told(signals, rule)


@given(SIGNALS, RULES)
def test_every_beginning_told_has_at_most_one_end_told(signals: list[Signal], rule: Rule) -> None:
    episodes, news = told(signals, rule)
    begun = [one for one in news if one in (News.FIRING, News.RESOLVED)]
    assert begun[::2] == [News.FIRING] * len(begun[::2])
    assert begun[1::2] == [News.RESOLVED] * len(begun[1::2])
    assert all(not episode.active for episode in episodes[:-1])


@given(SIGNALS, RULES)
def test_what_is_stored_agrees_with_itself(signals: list[Signal], rule: Rule) -> None:
    for episode in told(signals, rule)[0]:
        fired = episode.fired_at is not None
        assert fired or episode.state in (State.PENDING, State.RESOLVED)
        assert (episode.resolved_at is not None) == (episode.state is State.RESOLVED)
        assert episode.opened_at <= (episode.fired_at or episode.opened_at)
        assert episode.opened_at <= episode.last_seen_at
        assert not fired or episode.n_seen >= rule.fire_after
        assert episode.notified_at is None or fired

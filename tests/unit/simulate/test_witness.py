"""What is new between two looks at what the system did."""

from dataclasses import replace

from timonel.alerts.alert import Alert, State
from timonel.signals import Kind, Severity
from timonel.simulate.texts import TEXTS, line
from timonel.simulate.witness import DriftSeen, JobSeen, LinkSeen, Sight, StepSeen, news

ALERT = Alert(
    alert_id=3,
    fingerprint="f",
    kind=Kind.PERFORMANCE_DEGRADATION,
    severity=Severity.HIGH,
    model="dispatch",
    version="1.0.0",
    monitor="performance",
    column="accuracy",
    state=State.FIRING,
    facts={},
    opened_at=10,
    fired_at=10,
    last_seen_at=10,
)
PROMOTION = LinkSeen(1, "1.0.0", "validation", "production", "ana", "good", 5)
DRIFT = DriftSeen("1.0.0", 0, 24, 30, (("km", 0.4), ("hour", 0.1)))
JOB = JobSeen("j", "retrain", "running", "loss", 40, {}, {})


def told(before: Sight, now: Sight, lang: str = "en") -> list[str]:
    found = list(news(before, now, lang=lang, rate=2.0))
    for item in found:  # every line of the catalogue can be said with its facts
        line(item.key, "es", **item.facts)
    return [item.key for item in found]


def test_nothing_new_is_nothing_said() -> None:
    sight = Sight((ALERT,), (JOB,), (DRIFT,), (PROMOTION,))
    assert told(sight, sight) == []
    assert set(told(Sight(), sight)) <= set(TEXTS)
    assert told(Sight(), sight) == ["promoted", "drift", "alert", "job"]


def test_an_alert_is_told_when_it_fires_and_when_it_ends() -> None:
    pending = replace(ALERT, state=State.PENDING, fired_at=None)
    over = replace(ALERT, state=State.RESOLVED, resolved_at=20)
    assert told(Sight(), Sight((pending,))) == []
    assert told(Sight((pending,)), Sight((ALERT,))) == ["alert"]
    assert told(Sight((ALERT,)), Sight((over,))) == ["alert_over"]
    assert told(Sight((ALERT,)), Sight((replace(over, resolved_by="ana"),))) == ["alert_closed"]
    assert told(Sight(), Sight((over,))) == ["alert", "alert_over"]
    assert told(Sight(), Sight((replace(over, fired_at=None),))) == []  # nobody ever knew of it


def test_a_job_is_told_at_its_beginning_and_at_its_end() -> None:
    result = {
        "model": "dispatch",
        "state": "undecided",
        "version": "1.0.1",
        "champion": "1.0.0",
        "reason": "too few",
    }
    steps = (StepSeen("fetch", "done", 0, 1_000_000), StepSeen("train", "done", 1, 9_000_000))
    done = replace(JOB, state="succeeded", result=result, steps=steps)
    assert (done.outcome, done.seconds(2.0), JOB.seconds(2.0)) == ("undecided", 4.5, None)
    (item,) = news(Sight(jobs=(JOB,)), Sight(jobs=(done,)), lang="en", rate=2.0)
    assert item.key == "job_over"
    assert item.facts["said"].startswith("Undecided: too few.")
    failed = replace(JOB, state="failed", error={"detail": "no room", "detail_es": "sin espacio"})
    (item,) = news(Sight(jobs=(JOB,)), Sight(jobs=(failed,)), lang="es", rate=2.0)
    assert (item.key, item.facts["said"]) == ("job_failed", "sin espacio")


def test_the_same_columns_of_a_version_are_news_once() -> None:
    later = DRIFT._replace(window_start=24, window_end=48)
    other = later._replace(columns=(("severity", 0.2),))
    assert told(Sight(drifts=(DRIFT,)), Sight(drifts=(DRIFT, later))) == []
    assert told(Sight(), Sight(drifts=(DRIFT, later))) == ["drift"]
    assert told(Sight(drifts=(DRIFT,)), Sight(drifts=(DRIFT, other))) == ["drift"]


def test_the_champion_is_the_last_that_went_into_production() -> None:
    assert Sight().champion() is None
    away = LinkSeen(2, "1.0.0", "production", "archived", "ana", "", 6)
    second = LinkSeen(3, "1.0.1", "validation", "production", "ana", "", 6)
    back = LinkSeen(5, "1.0.0", "archived", "production", "ana", "", 7)
    assert Sight(links=(PROMOTION, away, second)).champion() == "1.0.1"
    links = (PROMOTION, away, second, back)
    assert told(Sight(links=links[:3]), Sight(links=links)) == ["went_back"]

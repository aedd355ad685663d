"""The exposition read by Prometheus' own parser, and the board and rules that rely on it."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from timonel.clock import AffineClock
from timonel.events.lag import Lag
from timonel.serving.exposition import exposition
from timonel.serving.metrics import Family, Gauge, MetricsSlot, read_slots
from timonel.serving.processes.scraped import host_exposition, lag_exposition, watched_exposition
from timonel.store.control import DISK, MACHINE, HostReading
from timonel.store.reads_windows import AlertRow, DriftRow

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "metrics"
    for index in (0, 1):
        slot = MetricsSlot(path, index)
        for latency_us in (40, 250, 10**9):
            slot.observe(
                (Family.PREDICTIONS, 'a"b\\c\nd', "1.0.0", "", "model", "assigned"), latency_us
            )
        slot.count(Family.REFUSALS, "churn", "invalid_row", n=3)
        slot.count(Family.OUTCOMES, "churn")
        slot.count(Family.REQUESTS, "predict", "200")
        slot.count(Family.UNLOGGED, "churn")
        slot.set(Family.FAULTS, "churn", "1.0.0", value=1)
        slot.gauge(Gauge.READY, 1)
    return exposition(read_slots(path)) + beside_the_workers()


def beside_the_workers() -> str:
    end = 1_760_000_000_123_456
    place = ("churn", "1.0.0", "feature_drift")
    drift = [
        DriftRow(*place, "", "warning", 1000, None, None, end),
        DriftRow(*place, 'a"ge', "warning", 990, 0.125, 3e-9, end),
        DriftRow(*place, "visits", "not_enough", 10, None, None, end),
    ]
    alerts = [
        AlertRow("churn", "DRIFT_DETECTED", "HIGH", "resolved", 3, 2),
        AlertRow("churn", "DRIFT_DETECTED", "MEDIUM", "firing", 1, 1),
        AlertRow("", "DATABASE_ERROR", "CRITICAL", "pending", 1, 0),
    ]
    clock = AffineClock(real_us=0, event_us=0, rate=60.0)
    lag = lag_exposition(Lag(512, clock.now_us() - 600_000_000), clock)
    host = host_exposition(
        [
            HostReading("worker-0", 300, 500, pid=7),
            HostReading(MACHINE, 800, 900, 1000),
            HostReading(DISK, 70, 80, 100),
        ]
    )
    return lag + host + watched_exposition(drift, alerts, {"ops": 2})


def test_prometheus_reads_the_sum_of_two_workers(text: str) -> None:
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert found["timonel_predictions"].type == "counter"
    (sample,) = found["timonel_predictions"].samples
    assert sample.value == 6
    assert sample.labels["model"] == 'a"b\\c\nd'
    histogram = found["timonel_prediction_latency_seconds"]
    assert histogram.type == "histogram"
    buckets = [s.value for s in histogram.samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 6
    total = next(s.value for s in histogram.samples if s.name.endswith("_sum"))
    assert total == pytest.approx(2 * (1000 + 290e-6))
    ready = found["timonel_worker_ready"].samples
    assert [(s.labels["worker"], s.value) for s in ready] == [("0", 1), ("1", 1)]


def test_prometheus_reads_what_no_worker_counts(text: str) -> None:
    found = {
        sample.name: (family.type, family.samples)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def values(name: str) -> dict[str, float]:
        return {" ".join(one.labels.values()): one.value for one in found[name][1]}

    column = 'churn 1.0.0 feature_drift a"ge'
    assert values("timonel_drift_effect") == {column: 0.125}
    assert values("timonel_drift_p_value") == {column: 3e-9}
    assert values("timonel_drift_state") == {column: 1}  # of "visits" nothing can be said
    assert values("timonel_drift_window_state") == {"churn 1.0.0 warning": 1}
    assert values("timonel_drift_window_rows") == {"churn 1.0.0": 1000}
    assert values("timonel_drift_window_end_unix_seconds") == {
        "churn 1.0.0": pytest.approx(1_760_000_000.123456)
    }
    assert values("timonel_alerts") == {
        "churn DRIFT_DETECTED HIGH resolved": 3,
        "churn DRIFT_DETECTED MEDIUM firing": 1,
        " DATABASE_ERROR CRITICAL pending": 1,
    }
    assert found["timonel_alerts_fired_total"][0] == "counter"
    assert values("timonel_alerts_fired_total") == {"churn DRIFT_DETECTED": 3, " DATABASE_ERROR": 0}
    assert values("timonel_alert_messages_waiting") == {"ops": 2}
    assert values("timonel_process_memory_bytes") == {"worker-0": 300}
    assert values("timonel_memory_used_bytes") == {"": 800}
    assert values("timonel_disk_allowed_bytes") == {"": 80}
    assert values("timonel_spool_undrained_bytes") == {"": 512}
    # ten minutes of a clock that runs sixty times as fast
    assert values("timonel_spool_oldest_undrained_seconds") == {"": pytest.approx(10, abs=0.5)}


def test_what_is_not_known_has_no_sample() -> None:
    text = lag_exposition(Lag(0, None), None) + host_exposition([]) + watched_exposition([], [], {})
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    assert [(one.name, one.value) for one in samples] == [("timonel_spool_undrained_bytes", 0)]


@pytest.mark.parametrize("file", ["prometheus/timonel-alerts.yml", "grafana/timonel.json"])
def test_board_and_rules_name_only_what_is_exposed(text: str, file: str) -> None:
    families = text_string_to_metric_families(text)
    exposed = {sample.name for family in families for sample in family.samples}
    written = (DEPLOY / file).read_text(encoding="utf-8")
    used = set(re.findall(r"\btimonel_\w+", written))
    assert len(used) >= 6
    assert used <= exposed


def test_the_board_is_json_with_a_query_in_each_panel() -> None:
    board = json.loads((DEPLOY / "grafana/timonel.json").read_text(encoding="utf-8"))
    assert all(panel["targets"][0]["expr"] for panel in board["panels"])

"""The exposition read by Prometheus' own parser, and the board and rules that rely on it."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from timonel.serving.exposition import exposition
from timonel.serving.metrics import Family, Gauge, MetricsSlot, read_slots

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
    return exposition(read_slots(path))


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

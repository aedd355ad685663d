from pathlib import Path

from timonel.serving.exposition import exposition
from timonel.serving.metrics import (
    LATENCY_EDGES_US,
    SLOT_BYTES,
    Family,
    Gauge,
    MetricsSlot,
    Totals,
    read_slots,
)

LABELS = (Family.PREDICTIONS.value, "churn", "1.0.0", "", "model", "assigned")


def test_slots_of_several_workers_add_up(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics"
    slots = [MetricsSlot(path, index) for index in (0, 2)]
    for slot in slots:
        slot.observe(LABELS, 50, 2)
        for latency_us in (51, 10**9):
            slot.observe(LABELS, latency_us)
        slot.count(Family.REFUSALS, "churn", "invalid_row", n=3)
        slot.gauge(Gauge.GENERATION, 7)
    readings = read_slots(path)
    assert [reading.slot for reading in readings] == [0, 2]
    totals = Totals.of(readings)
    (one,) = totals.family(Family.PREDICTIONS)
    assert one.labels == LABELS[1:]
    assert (one.n, one.sum_us) == (8, 2 * (50 + 50 + 51 + 10**9))
    assert (one.buckets[0], one.buckets[1], one.buckets[-1]) == (4, 2, 2)
    assert totals.family(Family.REFUSALS)[0].n == 6
    assert readings[1].gauges[Gauge.GENERATION] == 7


def test_counters_survive_a_restart_and_presence_does_not(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    slot = MetricsSlot(path, 0)
    slot.observe(LABELS, 10)
    slot.gauge(Gauge.READY, 1)
    slot.set(Family.FAULTS, "churn", "1.0.0", value=1)
    slot.close()
    again = MetricsSlot(path, 0)
    again.observe(LABELS, 20)
    again.observe((*LABELS[:-1], "timeout"), 20)
    (reading,) = read_slots(path)
    assert sorted(one.n for one in reading.series) == [0, 1, 2]
    assert reading.gauges[Gauge.READY] == 0


def test_what_finds_no_place_is_counted_in_the_last(tmp_path: Path) -> None:
    slot = MetricsSlot(tmp_path / "metrics", 0)
    for number in range(2000):
        slot.observe((*LABELS[:2], f"1.0.{number}", *LABELS[3:]), 10)
    (reading,) = read_slots(tmp_path / "metrics")
    assert sum(one.n for one in reading.series) == 2000
    assert reading.series[-1].labels == ("(other)",)
    assert "(other)" in exposition([reading])


def test_a_slot_of_another_layout_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    path.write_bytes(b"\x01" * SLOT_BYTES)
    assert read_slots(path) == []
    MetricsSlot(path, 0).observe(LABELS, 10)
    assert [one.n for reading in read_slots(path) for one in reading.series] == [1]


def test_no_file_is_no_readings(tmp_path: Path) -> None:
    assert read_slots(tmp_path / "none") == []


def test_exposition_is_prometheus_text(tmp_path: Path) -> None:
    slot = MetricsSlot(tmp_path / "metrics", 0)
    slot.observe(LABELS, 250)
    slot.count(Family.REQUESTS, "predict", "200")
    slot.set(Family.FAULTS, 'a"b\\c\nd', "1.0.0", value=1)
    lines = exposition(read_slots(tmp_path / "metrics")).splitlines()
    labels = 'model="churn",version="1.0.0",variant="",source="model",reason="assigned"'
    assert f"timonel_predictions_total{{{labels}}} 1" in lines
    name = "timonel_prediction_latency_seconds"
    assert f'{name}_bucket{{{labels},le="0.0002"}} 0' in lines
    assert f'{name}_bucket{{{labels},le="0.0003"}} 1' in lines
    assert f'{name}_bucket{{{labels},le="+Inf"}} 1' in lines
    assert f"{name}_sum{{{labels}}} 0.000250" in lines
    assert sum(line.startswith(f"{name}_bucket") for line in lines) == len(LATENCY_EDGES_US) + 1
    assert 'timonel_requests_total{route="predict",status="200"} 1' in lines
    assert 'timonel_version_fault{model="a\\"b\\\\c\\nd",version="1.0.0"} 1' in lines
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ", "timonel_"))

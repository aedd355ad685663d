from timonel.simulate.record import Acknowledged, Record, Reported
from timonel.simulate.result import accuracy, result


def answered(
    key: str, *, source: str = "model", prediction: int = 1, outcome: int | None = None
) -> Acknowledged:
    return Acknowledged(key, prediction, source, "assigned", "1.0.0", 0.002, outcome)


def record_of(
    entries: dict[str, Acknowledged], *, in_doubt: dict[str, str] | None = None
) -> Record:
    record = Record(in_doubt=in_doubt or {})
    for prediction_id, entry in entries.items():
        truth, entry.outcome = entry.outcome, None
        record.acknowledge(prediction_id, entry)
        if truth is not None:
            record.told(prediction_id, truth, f"o-{prediction_id}")
    return record


def test_what_was_acknowledged_and_is_not_listed_is_lost() -> None:
    record = record_of({"a": answered("k1"), "b": answered("k2")}, in_doubt={"c": "k3"})
    tally = record.compare([Reported("a", "k1")])
    assert (tally.lost, tally.doubled, tally.strange) == (["b"], [], [])


def test_an_id_listed_twice_and_a_second_id_of_one_key_are_doubles() -> None:
    record = record_of({"a": answered("k1"), "b": answered("k2")}, in_doubt={"c": "k3"})
    listed = [("a", "k1"), ("a", "k1"), ("b", "k2"), ("x", "k2"), ("c", "k3"), ("y", "k3")]
    tally = record.compare(Reported(*row) for row in listed)
    assert (tally.lost, tally.doubled, tally.strange) == ([], ["a", "x", "y"], [])


def test_a_stranger_s_prediction_is_neither() -> None:
    tally = record_of({"a": answered("k1")}).compare([Reported("a", "k1"), Reported("z", None)])
    assert tally == ([], [], ["z"])


def test_accuracy_counts_a_source_s_answers_whose_truth_is_known() -> None:
    record = record_of(
        {
            "a": answered("k1", outcome=1),
            "b": answered("k2", outcome=0),
            "c": answered("k3"),
            "d": answered("k4", outcome=1),
            "e": answered("k5", source="rules", outcome=0),
        }
    )
    found = accuracy(record, "model")
    assert found is not None
    assert (found["n"], found["value"]) == (3, 2 / 3)
    assert found["low"] < 2 / 3 < found["high"]
    assert record.commonest_outcome("model") == 2 / 3
    assert accuracy(record, "baseline") is None
    assert record.n_outcomes == 4


def test_a_result_is_good_only_if_all_of_it_is() -> None:
    record = record_of({"a": answered("k1", outcome=1)})
    for listed, n_joined, ok in ((["a"], 1, True), ([], 1, False), (["a"], 0, False)):
        tally = record.compare(Reported(i, "k1") for i in listed)
        found = result(record, tally, versions=[], n_joined=n_joined, seconds=1.0, timeline=[])
        assert found.ok is ok
        assert found.document()["ok"] is ok
    empty = result(
        Record(), Record().compare([]), versions=[], n_joined=0, seconds=1.0, timeline=[]
    )
    assert (empty.ok, empty.accuracy, empty.latency_ms) == (False, None, None)


def test_a_long_life_forgets_entries_and_no_counts() -> None:
    record = Record(most=2)
    for i in range(5):
        record.acknowledge(str(i), answered(f"k{i}", source="rules" if i == 0 else "model"))
    record.told("0", 1, "o-0")
    record.told("4", 1, "o-4")
    assert list(record.acknowledged) == ["3", "4"]
    assert (record.n_predictions, record.n_outcomes, record.answered_by("rules")) == (5, 2, 1)
    found = accuracy(record, "model")
    assert found is not None
    assert (found["n"], found["value"]) == (1, 1.0)

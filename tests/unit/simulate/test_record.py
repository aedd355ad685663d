from timonel.simulate.record import Acknowledged, Choice, Record, Reported
from timonel.simulate.result import Told, accounting, accuracy, latency_ms

MODEL = Choice("model")


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
    assert tally[:3] == (["b"], [], [])


def test_an_id_listed_twice_and_a_second_id_of_one_key_are_doubles() -> None:
    record = record_of({"a": answered("k1"), "b": answered("k2")}, in_doubt={"c": "k3"})
    listed = [("a", "k1"), ("a", "k1"), ("b", "k2"), ("x", "k2"), ("c", "k3"), ("y", "k3")]
    tally = record.compare(Reported(*row) for row in listed)
    assert tally[:3] == ([], ["a", "x", "y"], [])


def test_a_stranger_s_prediction_is_neither() -> None:
    tally = record_of({"a": answered("k1")}).compare([Reported("a", "k1"), Reported("z", None)])
    assert tally == ([], [], ["z"], [])


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
    found = accuracy(record, MODEL)
    assert found is not None
    assert (found["n"], found["value"]) == (3, 0.6667)
    assert found["low"] < 2 / 3 < found["high"]
    assert record.commonest_outcome(MODEL) == 2 / 3
    assert accuracy(record, Choice("baseline")) is None
    assert record.n_outcomes == 4


def test_choices_are_by_source_version_and_phase() -> None:
    record = record_of(
        {
            "a": answered("k1", outcome=1),
            "b": answered("k2", source="rules", outcome=0),
            "c": Acknowledged("k3", 1, "model", "assigned", "1.0.1", 0.1, outcome=1, phase="after"),
        }
    )
    assert [e.key for e in record.chosen(Choice(version="1.0.1"))] == ["k3"]
    assert [e.key for e in record.chosen(Choice("model", phases=("", "late")))] == ["k1"]
    assert record.n_labelled(Choice()) == 3
    assert [e.key for e in record.latest()] == ["k3", "k2", "k1"]
    assert latency_ms(record, "rules") == {"p50": 2.0, "p99": 2.0}


def test_an_account_that_does_not_add_up_is_a_missing_arc() -> None:
    record = record_of({"a": answered("k1", outcome=1), "b": answered("k2", outcome=0)})

    def missing(listed: list[Reported], n_joined: int = 2) -> list[str]:
        told = Told()
        accounting(record, record.compare(listed), n_joined, told)
        return [arc.reason for arc in told.missing]

    whole = [Reported("a", "k1", 1), Reported("b", "k2", 0)]
    assert missing(whole) == []
    assert missing(whole[:1]) == ["1 lost"]
    assert missing([*whole, Reported("x", "k2")]) == ["1 duplicated"]
    assert missing(whole, n_joined=1) == ["1 outcomes not joined"]
    record.refused.append("422 no")
    assert missing(whole) == ["1 refused, 422 no"]
    nothing = Told()
    accounting(Record(), Record().compare([]), 0, nothing)
    assert [arc.arc for arc in nothing.missing] == ["accounting"]


def test_a_truth_that_the_server_does_not_show_is_not_joined() -> None:
    record = record_of({"a": answered("k1", outcome=1), "b": answered("k2", outcome=0)})
    tally = record.compare([Reported("a", "k1", 0), Reported("b", "k2", 0)])
    assert tally == ([], [], [], ["a"])


def test_a_long_life_forgets_entries_and_no_counts() -> None:
    record = Record(most=2)
    for i in range(5):
        record.acknowledge(str(i), answered(f"k{i}", source="rules" if i == 0 else "model"))
    record.told("0", 1, "o-0")
    record.told("4", 1, "o-4")
    assert list(record.acknowledged) == ["3", "4"]
    assert (record.n_predictions, record.n_outcomes, record.answered_by("rules")) == (5, 2, 1)
    found = accuracy(record, MODEL)
    assert found is not None
    assert (found["n"], found["value"]) == (1, 1.0)

import pytest

from timonel.events.plans import Plan, Problem, token
from timonel.wire.answer import Label


@pytest.mark.parametrize(
    "same", [(1, "1", True, 1.0, "true", " 1.0 ", "TRUE"), ("No", "no", "NO ")]
)
def test_spellings_of_one_label_share_a_token(same: tuple[Label, ...]) -> None:
    assert len({token(label) for label in same}) == 1


@pytest.mark.parametrize(
    ("classes", "given", "expected"),
    [
        ((0, 1), "1", 1),
        ((0, 1), True, 1),
        ((0, 1), 0.0, 0),
        ((False, True), "1", True),
        ((False, True), 0, False),
        (("no", "yes"), "YES", "yes"),
        (("Normal_Weight",), " normal_weight", "Normal_Weight"),
        (("a", "A"), "A", "A"),
        (("1", "2"), 2, "2"),
    ],
)
def test_a_truth_takes_the_form_of_its_class(
    classes: tuple[Label, ...], given: Label, expected: Label
) -> None:
    found = Plan("multiclass", classes).read(given)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("plan", "given", "code"),
    [
        (Plan("binary", (0, 1)), 2, "not_a_class"),
        (Plan("binary", (0, 1)), "", "no_value"),
        (Plan("binary", (0, 1)), None, "no_value"),
        (Plan("multiclass", ("a", "A")), "ä", "not_a_class"),
        (Plan("binary", (0, 1)), float("nan"), "not_a_class"),
        (Plan("regression"), float("inf"), "not_a_number"),
        (Plan("regression"), True, "not_a_number"),
        (Plan("regression"), "1_000", "not_a_number"),
        (Plan("regression"), 10**400, "not_a_number"),
        (Plan("regression"), "1e999", "not_a_number"),
    ],
)
def test_what_is_no_truth_says_why(plan: Plan, given: Label | None, code: str) -> None:
    found = plan.read(given)
    assert isinstance(found, Problem)
    assert found.code == code
    assert Problem.decode(found.encode()) == found


@pytest.mark.parametrize(
    ("prediction", "truth", "correct"),
    [("yes", "yes", 1.0), ("Yes", "yes", 1.0), ("no", "yes", 0.0), ("other", "yes", 0.0)],
)
def test_predictions_are_compared_as_classes(
    prediction: Label, truth: Label, correct: float
) -> None:
    assert Plan("binary", ("no", "yes")).score(prediction, truth) == {"correct": correct}


def test_what_overflows_is_not_measured() -> None:
    assert Plan("regression").score(1e200, -1e200) == {}
    assert Plan().score("yes", "yes") == {}

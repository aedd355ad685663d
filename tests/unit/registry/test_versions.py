import itertools

import pytest

from timonel.registry.errors import IllegalTransition, InvalidReference, InvalidVersion
from timonel.registry.versions import (
    Origin,
    SemVer,
    Stage,
    Step,
    check_transition,
    deployment_stack,
    next_version,
    parse_reference,
)

BASE = Origin("schema", "recipe", "data")


def test_versions_are_ordered_as_numbers() -> None:
    texts = ["1.10.0", "1.9.9", "10.0.0", "2.0.0", "1.9.10"]
    ordered = [str(version) for version in sorted(map(SemVer.parse, texts))]
    assert ordered == ["1.9.9", "1.9.10", "1.10.0", "2.0.0", "10.0.0"]


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.-3", "1.2.3rc1", "١.٢.٣", "1.2.3\n"],
)
def test_other_texts_are_no_version(text: str) -> None:
    with pytest.raises(InvalidVersion, match=r"major\.minor\.patch"):
        SemVer.parse(text)


@pytest.mark.parametrize(
    ("after", "at_least", "expected"),
    [
        (Origin("schema", "recipe", "new"), Step.PATCH, "1.4.3"),
        (Origin("schema", "new", "new"), Step.PATCH, "1.5.0"),
        (Origin("new", "recipe", "data"), Step.PATCH, "2.0.0"),
        (Origin("schema", "recipe", "new"), Step.MINOR, "1.5.0"),
        (Origin("schema", "recipe", "new"), Step.MAJOR, "2.0.0"),
        (Origin("new", "recipe", "new"), Step.MINOR, "2.0.0"),  # never smaller than computed
    ],
)
def test_the_next_version_follows_from_what_changed(
    after: Origin, at_least: Step, expected: str
) -> None:
    assert str(next_version(SemVer(1, 4, 2), BASE, after, at_least)) == expected


def test_the_first_version() -> None:
    assert str(next_version(None, None, BASE)) == "1.0.0"


LEGAL = {
    ("training", "validation"),
    ("training", "failed"),
    ("training", "archived"),
    ("validation", "production"),
    ("validation", "failed"),
    ("validation", "archived"),
    ("production", "archived"),
    ("production", "failed"),
    ("archived", "failed"),
    ("failed", "validation"),
    ("failed", "archived"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Stage, Stage)))
def test_every_transition_is_legal_or_refused_with_a_way_out(before: Stage, after: Stage) -> None:
    if (before, after) in LEGAL:
        check_transition("churn", "1.0.0", before, after)
        return
    with pytest.raises(IllegalTransition) as caught:
        check_transition("churn", "1.0.0", before, after)
    for language in ("en", "es"):
        assert len(caught.value.remedy(language)) > 20
        assert str(before) in caught.value.message(language)


def test_an_archived_version_returns_by_rollback_only() -> None:
    check_transition("churn", "1.0.0", Stage.ARCHIVED, Stage.PRODUCTION, rollback=True)
    with pytest.raises(IllegalTransition, match=r"timonel rollback churn --to 1\.0\.0"):
        check_transition("churn", "1.0.0", Stage.ARCHIVED, Stage.PRODUCTION)


@pytest.mark.parametrize(
    ("deployments", "stack"),
    [
        ("", ""),
        ("a", "a"),
        ("a b c", "a b c"),
        ("a b a", "a"),
        ("a b c b", "a b"),
        ("a b c b a d", "a d"),
        ("a b a b", "a b"),
    ],
)
def test_what_a_rollback_goes_back_over(deployments: str, stack: str) -> None:
    assert deployment_stack(deployments.split()) == stack.split()


@pytest.mark.parametrize(
    ("text", "model", "version"),
    [
        ("churn", "churn", None),
        ("churn@1.2.0", "churn", "1.2.0"),
        ("churn@champion", "churn", "champion"),
        ("models:/churn@champion", "churn", "champion"),
        ("models:/churn/1.2.0", "churn", "1.2.0"),
        ("models:/churn/production", "churn", "production"),
        (" models:/credit_risk-2@previous ", "credit_risk-2", "previous"),
    ],
)
def test_references(text: str, model: str, version: str | None) -> None:
    assert parse_reference(text) == (model, version)


@pytest.mark.parametrize("text", ["", "@1.0.0", "Churn", "churn@", "churn@@x", "runs:/x", "a b"])
def test_other_texts_are_no_reference(text: str) -> None:
    with pytest.raises(InvalidReference, match="models:/name@champion"):
        parse_reference(text)

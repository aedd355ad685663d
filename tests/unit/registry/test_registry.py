from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from timonel.registry.errors import (
    ChampionChanged,
    IllegalTransition,
    NeverInProduction,
    NothingToRollBackTo,
    OtherProject,
    UnknownModel,
    UnknownStage,
    UnknownVersion,
)
from timonel.registry.manifest import OutcomePlan, RulesSource
from timonel.registry.registry import Registry
from timonel.registry.versions import Stage, Step
from timonel.store.control import read_generation
from timonel.testing.builders import PROJECT, make_manifest, open_registry, register_version


@pytest.fixture
def opened(sqlite_database: str) -> Iterator[tuple[Engine, Registry]]:
    with open_registry(sqlite_database) as opened:
        yield opened


@pytest.fixture
def registry(opened: tuple[Engine, Registry]) -> Registry:
    return opened[1]


@pytest.fixture
def three(registry: Registry) -> Registry:
    """1.0.0, 1.0.1 and 1.0.2 have been promoted, in this order."""
    for n in range(3):
        version = register_version(registry, str(n))
        registry.promote("churn", version.version, who="ana", reason="better")
    return registry


def stages(registry: Registry) -> dict[str, str]:
    return {version.version: str(version.stage) for version in registry.versions("churn")}


def aliases(registry: Registry) -> dict[str, str]:
    return {alias: v.version for v in registry.versions("churn") for alias in v.aliases}


def test_a_registered_version_says_what_it_is(registry: Registry) -> None:
    version = register_version(registry, tags={"team": "retention"}, gates={"baseline": True})
    assert str(version) == "churn@1.0.0"
    assert version.stage is Stage.VALIDATION
    assert version.tags == {"team": "retention"}
    assert version.metrics["main"]["value"] == 0.9
    assert version.parent is None
    assert not version.already_registered
    assert registry.manifest("churn", "1.0.0").version == "1.0.0"
    assert registry.manifest("churn", "1.0.0").digest() == version.digest
    document = version.document()
    assert document["name"] == "churn@1.0.0"
    assert document["deployed_at"] is None
    assert document["created_at"].endswith("+00:00")
    moves = [(link.from_stage, link.to_stage, link.who) for link in registry.history()]
    assert moves == [("", "training", "ana"), ("training", "validation", "ana")]
    assert registry.history()[1].document()["gates"] == {"baseline": True}


def test_numbers_follow_from_what_changed(registry: Registry) -> None:
    made = [
        register_version(registry, "1"),
        register_version(registry, "2"),
        register_version(registry, "2", recipe="forest"),
        register_version(registry, "2", recipe="forest", schema="wider"),
        register_version(registry, "3", recipe="forest", schema="wider", at_least=Step.MINOR),
    ]
    assert [v.version for v in made] == ["1.0.0", "1.0.1", "1.1.0", "2.0.0", "2.1.0"]
    assert [v.parent for v in made] == [None, "1.0.0", "1.0.1", "1.1.0", "2.0.0"]


def test_the_same_training_is_registered_once(opened: tuple[Engine, Registry]) -> None:
    engine, registry = opened
    first = register_version(registry)
    generation = read_generation(engine, PROJECT)
    again = register_version(registry)
    assert again.already_registered
    assert (again.version, again.digest) == (first.version, first.digest)
    assert read_generation(engine, PROJECT) == generation
    assert len(registry.versions()) == 1


def test_the_same_training_with_other_rules_is_another_version(registry: Registry) -> None:
    register_version(registry)
    rules = RulesSource(module="rules", function="churn_rule", source="def churn_rule(row): ...")
    assert register_version(registry, manifest=make_manifest(rules=rules)).version == "1.0.1"
    outcome = make_manifest(rules=rules, outcome=OutcomePlan(key="rut"))
    assert register_version(registry, manifest=outcome).version == "1.0.2"
    assert register_version(registry, manifest=make_manifest(rules=rules)).already_registered


def test_promoting(opened: tuple[Engine, Registry]) -> None:
    engine, registry = opened
    for n in range(2):
        register_version(registry, str(n))
    assert registry.champion("churn") is None
    generation = read_generation(engine, PROJECT)
    promoted = registry.promote("churn", "1.0.0", who="ana", reason="first")
    assert promoted.stage is Stage.PRODUCTION
    assert promoted.aliases == ("champion",)
    assert promoted.deployed_at is not None
    registry.promote("churn", "1.0.1", who="ana", reason="better")
    assert stages(registry) == {"1.0.1": "production", "1.0.0": "archived"}
    assert aliases(registry) == {"champion": "1.0.1", "previous": "1.0.0"}
    assert read_generation(engine, PROJECT) == generation + 2
    registry.verify_history()


def test_promoting_the_champion_again_changes_nothing(opened: tuple[Engine, Registry]) -> None:
    engine, registry = opened
    register_version(registry)
    registry.promote("churn", "1.0.0", who="ana", reason="first")
    before = (read_generation(engine, PROJECT), registry.history())
    assert str(registry.promote("churn", "1.0.0", who="ana", reason="again")) == "churn@1.0.0"
    assert (read_generation(engine, PROJECT), registry.history()) == before


def test_a_promotion_decided_against_another_champion_is_refused(three: Registry) -> None:
    register_version(three, "3")
    with pytest.raises(ChampionChanged, match=r"champion is 1\.0\.2 now, it was 1\.0\.1"):
        three.promote("churn", "1.0.3", who="a", reason="b", expected_champion="1.0.1")
    with pytest.raises(ChampionChanged):
        three.promote("churn", "1.0.3", who="a", reason="b", expected_champion=None)


def test_rolling_back_twice_goes_two_versions_back(three: Registry) -> None:
    assert three.roll_back("churn", who="ana", reason="harm").version == "1.0.1"
    assert aliases(three) == {"champion": "1.0.1", "previous": "1.0.0"}
    assert three.roll_back("churn", who="ana", reason="harm").version == "1.0.0"
    assert aliases(three) == {"champion": "1.0.0"}
    with pytest.raises(NothingToRollBackTo, match="no other version"):
        three.roll_back("churn", who="ana", reason="harm")
    assert stages(three) == {"1.0.2": "archived", "1.0.1": "archived", "1.0.0": "production"}
    three.verify_history()


def test_rolling_back_to_a_named_version_and_forward_again(three: Registry) -> None:
    three.roll_back("churn", who="ana", reason="harm", to="1.0.0")
    assert aliases(three) == {"champion": "1.0.0"}
    three.roll_back("churn", who="ana", reason="it was the data", to="1.0.2")
    assert aliases(three) == {"champion": "1.0.2", "previous": "1.0.0"}


def test_rolling_back_to_what_never_answered_is_refused(three: Registry) -> None:
    register_version(three, "3")
    with pytest.raises(NeverInProduction, match=r"1\.0\.1, 1\.0\.0|1\.0\.0, 1\.0\.1"):
        three.roll_back("churn", who="ana", reason="harm", to="1.0.3")
    three.archive("churn", "1.0.3", who="ana", reason="no use")
    with pytest.raises(NeverInProduction, match=r"1\.0\.3"):
        three.roll_back("churn", who="ana", reason="harm", to="1.0.3")
    with pytest.raises(IllegalTransition, match="answers already"):
        three.roll_back("churn", who="ana", reason="harm", to="1.0.2")


def test_a_failed_version_is_no_way_back(three: Registry) -> None:
    three.fail("churn", "1.0.1", who="ana", reason="wrong data")
    assert aliases(three) == {"champion": "1.0.2", "previous": "1.0.0"}
    assert three.roll_back("churn", who="ana", reason="harm").version == "1.0.0"


def test_without_a_champion_the_previous_can_be_restored(three: Registry) -> None:
    three.fail("churn", "1.0.2", who="ana", reason="harm")
    assert three.champion("churn") is None
    assert aliases(three) == {"previous": "1.0.1"}
    three.verify_history()
    assert three.roll_back("churn", who="ana", reason="restore").version == "1.0.1"
    assert aliases(three) == {"champion": "1.0.1", "previous": "1.0.0"}


def test_archiving_the_champion_leaves_the_rules(three: Registry) -> None:
    three.archive("churn", "champion", who="ana", reason="season over")
    assert three.champion("churn") is None
    assert stages(three)["1.0.2"] == "archived"
    three.verify_history()


def test_a_failed_gate_can_be_overridden_with_a_reason(registry: Registry) -> None:
    register_version(registry, stage=Stage.FAILED, gates={"min_accuracy": False})
    with pytest.raises(IllegalTransition, match="its stage is failed, expected validation"):
        registry.promote("churn", "1.0.0", who="ana", reason="now")
    registry.validate("churn", "1.0.0", who="admin", reason="measured by hand")
    assert registry.promote("churn", "1.0.0", who="ana", reason="now").stage is Stage.PRODUCTION


def test_the_challenger(three: Registry) -> None:
    register_version(three, "3")
    assert three.challenge("churn", "1.0.3", who="ana", reason="try").aliases == ("challenger",)
    three.promote("churn", "challenger", who="ana", reason="better")
    assert aliases(three) == {"champion": "1.0.3", "previous": "1.0.2"}
    with pytest.raises(IllegalTransition):
        three.challenge("churn", "1.0.1", who="ana", reason="try")
    three.verify_history()


def test_unknown_names_list_the_known_closest_first(three: Registry) -> None:
    register_version(three, model="demand")
    with pytest.raises(UnknownModel, match="the models here are churn, demand"):
        three.get("chrun", "1.0.0")
    with pytest.raises(UnknownVersion, match=r"it has 1\.0\.2") as caught:
        three.get("churn", "1.0.22")
    assert caught.value.context["known"][:3] == ["1.0.2", "champion", "1.0.1"]
    with pytest.raises(UnknownVersion, match="challenger"):
        three.resolve("churn@challenger")
    for call in (three.roll_back, lambda m, **k: three.promote(m, "1.0.0", **k)):
        with pytest.raises(UnknownModel):
            call("chrun", who="ana", reason="x")


def test_resolving(three: Registry) -> None:
    for text, version in {
        "churn": "1.0.2",
        "churn@champion": "1.0.2",
        "models:/churn@previous": "1.0.1",
        "models:/churn/production": "1.0.2",
        "churn@1.0.0": "1.0.0",
    }.items():
        assert three.resolve(text).version == version


def test_declaring(opened: tuple[Engine, Registry]) -> None:
    engine, registry = opened
    assert registry.declare(make_manifest())
    assert not registry.declare(make_manifest())
    assert read_generation(engine, PROJECT) == 2
    changed = make_manifest(target="gone")
    assert registry.declare(changed)
    assert read_generation(engine, PROJECT) == 3
    assert [row.digest for row in registry.declarations()] == [changed.digest()]
    assert registry.models() == ["churn"]
    with pytest.raises(OtherProject, match="is of project quay"):
        registry.declare(make_manifest(project="quay"))


def test_comparing(registry: Registry) -> None:
    register_version(registry, "1")
    wider = make_manifest(
        schema=[{"kind": "number", "name": "visits", "ge": 0}, {"kind": "flag", "name": "vip"}]
    )
    register_version(registry, "2", schema="wider", manifest=wider)
    found = registry.compare("churn", "1.0.0", "2.0.0").document()
    accuracy = next(metric for metric in found["metrics"] if metric["name"] == "main.value")
    assert accuracy == {"name": "main.value", "a": 0.9, "b": 0.9, "difference": 0.0}
    assert [difference["name"] for difference in found["lineage"]] == ["data.sha256"]
    assert found["schema"]["added"] == ("vip",)
    assert [difference["name"] for difference in found["schema"]["changed"]] == ["visits"]


def test_tags(three: Registry) -> None:
    assert three.tag("churn", "1.0.0", {"a": "1", "b": "2"}).tags == {"a": "1", "b": "2"}
    assert three.tag("churn", "1.0.0", {"a": None, "c": "3"}).tags == {"b": "2", "c": "3"}
    three.verify_history()


def test_lists_of_what_is_not_there(three: Registry) -> None:
    three.declare(make_manifest("demand"))
    assert three.versions("demand") == []
    assert three.history("demand") == []
    assert three.versions("churn", "failed") == []
    with pytest.raises(UnknownModel):
        three.versions("chrun")
    with pytest.raises(UnknownModel):
        three.history("chrun")
    with pytest.raises(UnknownStage, match="the stages are production"):
        three.versions("churn", "productoin")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 1000, "churn\0"], ids=range(4))
def test_names_that_no_database_holds_are_unknown(name: str, database: str) -> None:
    with open_registry(database) as (_, registry):
        register_version(registry)
        assert registry.champion(name) is None
        for call in (
            lambda: registry.get(name, "1.0.0"),
            lambda: registry.versions(name),
            lambda: registry.history(name),
            lambda: registry.roll_back(name, who="a", reason="b"),
        ):
            with pytest.raises((UnknownModel, NothingToRollBackTo)):
                call()
        with pytest.raises(UnknownVersion):
            registry.get("churn", name)


def test_text_that_a_database_cannot_hold_is_cleaned(registry: Registry) -> None:
    register_version(registry)
    registry.promote("churn", "1.0.0", who="\ud800ana\0", reason="a\0b" + "é" * 1000)
    last = registry.history()[-1]
    assert (last.who, last.reason[:3]) == ("?ana?", "a?b")
    registry.verify_history()

import pickle

import pytest

from timonel.errors import TimonelError
from timonel.registry import errors as registry
from timonel.store import errors as store

RAISED = [
    registry.UnknownModel(model="chrun", known=["churn", "demand"]),
    registry.UnknownVersion(model="churn", version="1.0", known=["1.0.0"]),
    registry.UnknownStage(stage="prod", known=["production"]),
    registry.InvalidReference(reference="@"),
    registry.InvalidVersion(found="v1"),
    registry.IllegalTransition(
        model="churn",
        version="1.0.0",
        from_stage="failed",
        to_stage="production",
        expected="validation",
        way_out="Train it.",
        way_out_es="Entrénela.",
    ),
    registry.ChampionChanged(model="churn", version="1.0.0", found=None, expected="1.0.1"),
    registry.NeverInProduction(model="churn", version="1.0.0", known=[]),
    registry.NothingToRollBackTo(model="churn"),
    registry.RegistryBusy(model="churn", attempts=5),
    registry.OtherProject(model="churn", project="harbour", found="quay"),
    registry.HistoryDamaged(project="harbour", n=3, n_faults=1, summary="2 edited", faults=[]),
    registry.ArtifactMissing(sha256="0" * 64, root="artifacts"),
    registry.ArtifactCorrupt(sha256="0" * 64, root="artifacts", size=3, found="1" * 64),
    registry.AmbiguousModel(known="churn, demand"),
    store.StoreUnavailable(database="sqlite:///x.db", detail="locked"),
    store.StoreCorrupt(database="sqlite:///x.db", detail="not a database"),
    store.UnsupportedDatabase(url="mysql://host/x", found="mysql"),
    store.DriverMissing(),
    store.SchemaOlder(database="sqlite:///x.db", found="empty", expected="0002"),
    store.SchemaNewer(database="sqlite:///x.db", found="9999", expected="0002"),
    store.UnknownProject(project="harbor", known=["harbour"]),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.code)
def test_every_error_speaks_both_languages_and_survives_a_process_boundary(
    error: TimonelError,
) -> None:
    for language in ("en", "es"):
        assert "{" not in error.message(language) + error.remedy(language)
        assert error.message(language).endswith(".")
    assert error.message("es") != error.message("en")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.context) == (type(error), error.context)


def test_every_error_of_both_is_in_this_list() -> None:
    defined = {
        kind
        for module in (registry, store)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    }
    assert {type(error) for error in RAISED} == defined

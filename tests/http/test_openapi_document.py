"""The OpenAPI document is valid, knows each model's own schema, and the routes keep to it."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema_rs import validator_for
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.http import world

from timonel.http.api import create_api, describe
from timonel.http.experiments import openfeature
from timonel.serving.protocols import documents

ANSWERED_BY_WORKERS = {"predict"} | {tag["name"] for tag in documents.TAGS}
OWN_ERRORS = {openfeature.TAG} | {tag["name"] for tag in documents.TAGS}


@pytest.fixture(scope="module")
def document(busy_app: world.LocalApp) -> dict[str, Any]:
    return describe(create_api(busy_app), busy_app)


def test_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_every_reference_leads_somewhere_and_ids_are_unique(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(_references(document)) <= known
    operations = [op for path in document["paths"].values() for op in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for operation in operations:
        content = operation["responses"]["default"]["content"]
        own = (
            "application/json" if OWN_ERRORS & {*operation["tags"]} else "application/problem+json"
        )
        assert list(content) == [own]
        assert operation["summary"]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [ref for value in node.values() for ref in _references(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _references(value)]
    return []


def _body(document: dict[str, Any], path: str) -> dict[str, Any]:
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert isinstance(content, dict)
    return content


def test_models_own_rows(document: dict[str, Any]) -> None:
    content = _body(document, "/v1/models/dispatch/predict")
    validator = validator_for(content["schema"])
    row = content["example"]["inputs"]
    assert validator.is_valid(content["example"])
    assert validator.is_valid({"inputs": [row, row], "partial": True, "unit_id": "u-1"})
    for wrong in (
        {**row, "severity": "none"},
        {**row, "distance_km": 81},
        {**row, "distance_km": "near"},
        {**row, "n_calls": 1.5},
        {**row, "extra": 1},
        {name: value for name, value in row.items() if name != "severity"},
    ):
        assert not validator.is_valid({"inputs": wrong}), wrong
    assert validator.is_valid({"inputs": {**row, "note": None, "n_calls": None}})


def test_examples_of_the_protocols_fit_their_schemas(document: dict[str, Any]) -> None:
    for path in ("/v2/models/dispatch/infer", "/invocations/dispatch"):
        content = _body(document, path)
        validator = validator_for(content["schema"])
        assert validator.is_valid(content["example"])
        assert not validator.is_valid({})


def test_outcomes_by_id_key_or_list(document: dict[str, Any]) -> None:
    content = _body(document, "/v1/models/dispatch/outcomes")
    validator = validator_for(content["schema"])
    assert validator.is_valid(content["example"])
    assert validator.is_valid({"outcomes": [{"key": "A-1", "value": True}]})
    assert not validator.is_valid({"outcomes": []})
    assert not validator.is_valid({"prediction_id": "x"})


ALL = list(HealthCheck)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The documented operations of a server of its own, by their names."""
    app = world.open_world(f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'timonel.db'}")
    world.declare(app, "dispatch")
    world.register(app, "dispatch")
    world.prediction(app, "dispatch")
    api = create_api(app, behind_worker=True)
    schema = schemathesis.openapi.from_asgi("/openapi.json", api)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    yield {operation.label: operation for operation in found}
    app.engine.dispose()


def tags_of(operation: Any) -> set[str]:
    return {*operation.definition.raw["tags"]}


@pytest.mark.parametrize("n_cases", [3, pytest.param(40, marks=pytest.mark.interop)])
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_control_routes_keep_to_the_document(
    operations: dict[str, Any], mode: schemathesis.GenerationMode, n_cases: int
) -> None:
    fuzzed = 0
    for operation in operations.values():
        if ANSWERED_BY_WORKERS & tags_of(operation):
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=n_cases, deadline=None, derandomize=True, suppress_health_check=ALL)
        def ask(case: schemathesis.Case[Any]) -> None:
            answer = case.call()
            if answer.status_code >= 400 and not OWN_ERRORS & tags_of(case.operation):
                assert "application/problem+json" in answer.headers["content-type"], answer.text
                assert answer.json()["remedy"]
                assert answer.json()["code"] != "unexpected_failure", answer.text
            case.validate_response(answer, checks=CHECKS)

        with suppress(Unsatisfiable):  # nothing can be wrong with a route without parameters
            ask()
            fuzzed += 1
    assert fuzzed >= 8

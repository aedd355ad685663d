"""The OpenAPI document: control routes, and each model's own predict and outcome routes."""

from typing import Any

from timonel.http.documents import example_request
from timonel.project.model import Task
from timonel.registry.manifest import ServingManifest
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.serving.protocols import documents as protocols
from timonel.wire.answer import LONGEST_OUTSIDE, Reason, Source
from timonel.wire.problem import MEDIA_TYPE

Document = dict[str, Any]

PROBLEM: Document = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "remedy"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable name of the error."},
        "detail": {"type": "string", "description": "What was found, what was expected."},
        "remedy": {"type": "string", "description": "What to do."},
        "instance": {"type": "string"},
    },
}
_PROBLEM_ANSWER: Document = {
    "description": "Refused: a problem document (RFC 9457) with a remedy.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_LINES: Document = {
    "application/x-ndjson": {
        "schema": {"type": "string", "description": "A row a line; answered a line each, in order."}
    }
}
_JSON_TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"))


def complete(document: Document, manifests: list[ServingManifest]) -> Document:
    """Add models' routes and the one error form to a generated document (changed in place)."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            # a protocol's routes declare the error form of their own
            operation["responses"].setdefault("default", _PROBLEM_ANSWER)
    document["paths"] |= protocols.server_paths()
    for manifest in manifests:
        document["paths"] |= model_paths(manifest)
        document["paths"] |= protocols.model_paths(manifest, row_schema(manifest))
    return document


def model_paths(manifest: ServingManifest) -> Document:
    """Describe a model's routes of predictions and outcomes with its own schema."""
    here = f"/v1/models/{manifest.model}"
    paths = {
        f"{here}/predict": {"post": _predict(manifest)},
        f"{here}/outcomes": {"post": _outcomes(manifest)},
        f"{here}/predictions": {"post": _records(manifest)},
    }
    if manifest.lookup is not None:
        paths[f"{here}/predict/{{entity}}"] = {"post": _predict_entity(manifest)}
    return paths


def row_schema(manifest: ServingManifest) -> Document:
    """Give the JSON Schema of one row of a model's inputs."""
    schema = Schema.from_json(manifest.schema)
    properties = {feature.name: _feature(feature) for feature in schema}
    if manifest.outcome.key is not None:
        properties[manifest.outcome.key] = {
            "type": ["string", "integer"],
            "description": "Your own key: outcomes may name the prediction by it.",
        }
    return {
        "type": "object",
        "properties": properties,
        "required": [feature.name for feature in schema if feature.required],
        "additionalProperties": False,
    }


def _feature(feature: Feature) -> Document:
    form: Document
    match feature:
        case Number():
            form = {"type": "integer" if feature.integer else "number"}
            limits = {"minimum": feature.ge, "maximum": feature.le, "description": feature.unit}
            form |= {name: value for name, value in limits.items() if value is not None}
        case Category():
            form = {"type": "string"}
            if feature.unseen == "reject":
                form["enum"] = list(feature.values)
            else:
                form["examples"] = list(feature.values)
        case Flag():
            form = {"type": "boolean"}
        case Timestamp():
            form = {"type": "string", "description": "ISO 8601; in the project's zone by default."}
        case Text():
            form = {"type": "string", "maxLength": feature.max_length}
        case _:
            form = {}
    if not feature.required and "type" in form:
        form["type"] = [form["type"], "null"]
        if "enum" in form:
            form["enum"] = [*form["enum"], None]
    return form


def _label(manifest: ServingManifest) -> Document:
    if manifest.task == Task.REGRESSION:
        return {"type": "number"}
    classes = manifest.classes or []
    return {"enum": classes} if classes else {"type": ["string", "integer", "number", "boolean"]}


def _value(manifest: ServingManifest) -> Document:
    kinds = {
        name
        for label in manifest.classes or []
        for kind, name in _JSON_TYPES
        if isinstance(label, kind)
    }
    if manifest.task == Task.REGRESSION or kinds <= {"number"}:
        return {"type": ["number", "string"]}
    return _label(manifest)


def _answer(manifest: ServingManifest) -> Document:
    number_or_null = {"type": ["number", "null"]}
    return {
        "type": "object",
        "properties": {
            "prediction_id": {"type": "string", "format": "uuid"},
            "model": {"const": manifest.model},
            "version": {"type": ["string", "null"]},
            "variant": {"type": ["string", "null"]},
            "source": {"enum": [str(source) for source in Source]},
            "reason": {"enum": [str(reason) for reason in Reason]},
            "prediction": _label(manifest),
            "score": number_or_null,
            "probabilities": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "number"},
            },
            "latency_ms": {"type": "number"},
            "explanation": {"type": ["string", "null"]},
            "data_age_s": {"type": "number", "description": "Of a row that was looked up."},
        },
        "required": ["prediction_id", "model", "source", "reason", "prediction"],
    }


def _predict(manifest: ServingManifest) -> Document:
    row, answer = row_schema(manifest), _answer(manifest)
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}]},
            "unit_id": {"type": "string"},
            "prediction_id": {"type": "string", "format": "uuid", "description": "UUIDv7."},
            "prediction_ids": {
                "type": "array",
                "items": {"type": "string", "format": "uuid"},
                "description": "One UUIDv7 a row, where inputs is a list.",
            },
            "partial": {"type": "boolean", "description": "Answer per row; refuse none for all."},
        },
    }
    problem_row = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"$ref": "#/components/schemas/Problem"}},
    }
    many = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": {"anyOf": [answer, problem_row]}}},
    }
    return {
        "tags": ["predict"],
        "summary": f"Predict {manifest.target} ({manifest.task}) with {manifest.model}",
        "operationId": f"predict_{manifest.model}",
        "requestBody": {
            "required": True,
            "content": {**_body(body, example_request(manifest))["content"], **_LINES},
        },
        "responses": {
            "200": {
                "description": "One answer for one row, a list for a list.",
                "content": {"application/json": {"schema": {"anyOf": [answer, many]}}, **_LINES},
            },
            "default": _PROBLEM_ANSWER,
        },
    }


def _predict_entity(manifest: ServingManifest) -> Document:
    row = row_schema(manifest)
    body = {
        "type": "object",
        "properties": {
            "inputs": {
                **row,
                "required": [],
                "description": "Fields that override what is found.",
            },
            "unit_id": {"type": "string", "description": "By default the entity."},
            "prediction_id": {"type": "string", "format": "uuid", "description": "UUIDv7."},
        },
    }
    entity = {
        "name": "entity",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    }
    return {
        "tags": ["predict"],
        "summary": f"Predict {manifest.target} with {manifest.model} for a row that is looked up",
        "operationId": f"predict_entity_{manifest.model}",
        "parameters": [entity],
        "requestBody": {**_body(body, {}), "required": False},
        "responses": {
            "200": {
                "description": "One answer; by the rules where no row could be found.",
                "content": {"application/json": {"schema": _answer(manifest)}},
            },
            "default": _PROBLEM_ANSWER,
        },
    }


def _outcomes(manifest: ServingManifest) -> Document:
    properties: Document = {
        "outcome_id": {"type": "string", "format": "uuid", "description": "Your own UUIDv7."},
        "prediction_id": {"type": "string", "format": "uuid"},
        "value": _value(manifest),
        "at": {"type": "string", "description": "ISO 8601: the moment the truth belongs to."},
    }
    if manifest.outcome.key is not None:
        properties["key"] = {"type": ["string", "integer"]}
    one = {"type": "object", "required": ["value"], "properties": properties}
    body = {
        "anyOf": [
            one,
            {
                "type": "object",
                "required": ["outcomes"],
                "properties": {"outcomes": {"type": "array", "items": one, "minItems": 1}},
            },
        ]
    }
    accepted = {
        "type": "object",
        "required": ["outcome_ids"],
        "properties": {
            "outcome_ids": {"type": "array", "items": {"type": "string", "format": "uuid"}}
        },
    }
    value = manifest.classes[0] if manifest.classes else 1
    example = {"prediction_id": "01980000-0000-7000-8000-000000000000", "value": value}
    return {
        "tags": ["predict"],
        "summary": f"Tell what really happened, for {manifest.model}",
        "operationId": f"outcomes_{manifest.model}",
        "requestBody": _body(body, example),
        "responses": {
            "202": {
                "description": "Taken; GET /v1/outcomes/{id} tells what became of it.",
                "content": {"application/json": {"schema": accepted}},
            },
            "default": _PROBLEM_ANSWER,
        },
    }


def _records(manifest: ServingManifest) -> Document:
    properties: Document = {
        "prediction": _label(manifest),
        "inputs": row_schema(manifest),
        "version": {"type": "string", "minLength": 1, "maxLength": LONGEST_OUTSIDE},
        "source": {"enum": [Source.EXTERNAL.value, Source.RULES.value]},
        "score": {"type": ["number", "null"]},
        "probabilities": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
        "explanation": {"type": ["string", "null"]},
        "latency_ms": {"type": "number", "exclusiveMinimum": 0},
        "at": {"type": "string", "description": "ISO 8601: when it was answered; default now."},
        "unit_id": {"type": "string"},
        "variant": {
            "type": "string",
            "description": "EXPERIMENT:ARM, of an active experiment of mode outside.",
        },
        "prediction_id": {"type": "string", "format": "uuid", "description": "Your own UUIDv7."},
    }
    if manifest.outcome.key is not None:
        properties["key"] = {"type": ["string", "integer"]}
    one = {"type": "object", "required": ["prediction"], "properties": properties}
    many = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": one, "minItems": 1}},
    }
    recorded = {
        "type": "object",
        "required": ["prediction_ids"],
        "properties": {
            "prediction_ids": {"type": "array", "items": {"type": "string", "format": "uuid"}}
        },
    }
    example = {
        "prediction": manifest.classes[0] if manifest.classes else 1,
        "version": "2026-03",
        **example_request(manifest),
    }
    return {
        "tags": ["predict"],
        "summary": f"Record predictions of {manifest.target} that were made elsewhere",
        "operationId": f"record_{manifest.model}",
        "requestBody": _body({"anyOf": [one, many]}, example),
        "responses": {
            "202": {
                "description": "Recorded under these ids; one sent twice counts once.",
                "content": {"application/json": {"schema": recorded}},
            },
            "default": _PROBLEM_ANSWER,
        },
    }


def _body(schema: Document, example: Document) -> Document:
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }

"""The protocols' routes as OpenAPI describes them; read by the control process, not by workers."""

from typing import Any

from timonel.registry.manifest import ServingManifest
from timonel.schema.example import example_row
from timonel.schema.schema import Schema
from timonel.serving.protocols.inference import inputs_of
from timonel.serving.protocols.outputs import outputs_of
from timonel.serving.protocols.tensors import DATATYPES

Document = dict[str, Any]

INFERENCE, MLFLOW = "open inference", "mlflow"
TAGS = [
    {"name": INFERENCE, "description": "The Open Inference Protocol, version 2, over REST."},
    {"name": MLFLOW, "description": "MLflow's scoring protocol."},
]
_TEXT: Document = {"type": "string"}
_OBJECT: Document = {"type": "object"}
_ERRORS: dict[str, Document] = {
    INFERENCE: {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
    MLFLOW: {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {"error_code": _TEXT, "message": _TEXT},
    },
}
_DATA: Document = {"type": "array", "items": {}, "description": "One value a row."}
_TENSOR: Document = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": _TEXT,
        "datatype": {"enum": list(DATATYPES)},
        "shape": {"type": "array", "items": {"type": "integer"}, "description": "[rows, 1]"},
        "data": _DATA,
        "parameters": {
            "type": "object",
            "properties": {"binary_data_size": {"type": "integer", "minimum": 0}},
        },
    },
}


def server_paths() -> Document:
    """Describe what is the same for all models."""
    index = _operation(INFERENCE, "List what is loaded", "v2_index", {"type": "array"})
    index["requestBody"] = _body({"type": "object", "properties": {"ready": {"type": "boolean"}}})
    index["requestBody"]["required"] = False
    version = _operation(MLFLOW, "This server's version", "mlflow_version", _TEXT)
    version["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    return {
        "/v2": {"get": _operation(INFERENCE, "Server metadata", "v2_server")},
        "/v2/health/live": {"get": _operation(INFERENCE, "Whether it lives", "v2_live")},
        "/v2/health/ready": {"get": _operation(INFERENCE, "Whether it is ready", "v2_ready")},
        "/v2/repository/index": {"post": index},
        "/ping": {"get": _operation(MLFLOW, "Whether it is ready", "mlflow_ping", {})},
        "/version": {"get": version},
    }


def model_paths(manifest: ServingManifest, row: Document) -> Document:
    """Describe a model's routes; ``row`` is the JSON Schema of its rows."""
    name = manifest.model
    here = f"/v2/models/{name}"
    metadata = _operation(INFERENCE, f"Tensors of {name}", f"v2_metadata_{name}")
    ready = _operation(INFERENCE, f"Whether {name} can answer", f"v2_model_ready_{name}")
    return {
        here: {"get": metadata},
        f"{here}/ready": {"get": ready},
        f"{here}/infer": {"post": _infer(manifest)},
        f"/invocations/{name}": {"post": _invoke(manifest, row)},
    }


def example_tensors(manifest: ServingManifest) -> Document:
    """Give an infer request that the model accepts."""
    schema = Schema.from_json(manifest.schema)
    row = example_row(schema)
    return {
        "inputs": [
            {**tensor, "shape": [1, 1], "data": [row[tensor["name"]]]}
            for tensor in inputs_of(schema, None)
        ]
    }


def _infer(manifest: ServingManifest) -> Document:
    answer = {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": {"const": manifest.model},
            "model_version": _TEXT,
            "id": _TEXT,
            "outputs": {"type": "array", "items": _TENSOR},
        },
    }
    names = ", ".join(output.name for output in outputs_of(manifest))
    operation = _operation(
        INFERENCE, f"Infer with {manifest.model}: {names}", f"v2_infer_{manifest.model}", answer
    )
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _TEXT,
            "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
            "outputs": {"type": "array", "items": _OBJECT},
            "parameters": _OBJECT,
        },
    }
    operation["requestBody"] = _body(body, example_tensors(manifest))
    operation["parameters"] = [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "required": False,
            "schema": {"type": "integer"},
            "description": "Bytes of the JSON, where binary tensors follow it.",
        }
    ]
    return operation


def _invoke(manifest: ServingManifest, row: Document) -> Document:
    rows = {"type": "array", "items": row, "minItems": 1}
    tensors = {"type": ["array", "object"]}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": _TEXT},
            "data": {"type": "array", "items": {"type": "array"}},
            "index": {"type": "array"},
        },
    }
    forms = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "inputs": tensors,
        "instances": {"type": "array"},
    }
    body = {
        "oneOf": [
            {
                "type": "object",
                "required": [name],
                "properties": {name: form, "params": {"type": ["object", "null"]}},
                "additionalProperties": False,
            }
            for name, form in forms.items()
        ]
    }
    answer = {
        "type": "object",
        "required": ["predictions"],
        "properties": {
            "predictions": {"type": "array"},
            "model": {"const": manifest.model},
            "details": {"type": "array", "items": _OBJECT},
        },
    }
    operation = _operation(
        MLFLOW, f"Score with {manifest.model}", f"mlflow_invoke_{manifest.model}", answer
    )
    example = {"dataframe_records": [example_row(Schema.from_json(manifest.schema))]}
    operation["requestBody"] = _body(body, example)
    operation["requestBody"]["content"]["text/csv"] = {"schema": _TEXT}
    return operation


def _operation(tag: str, summary: str, identifier: str, answer: Document | None = None) -> Document:
    schema = _OBJECT if answer is None else answer
    error = {
        "description": "Refused, in this protocol's own form.",
        "content": {"application/json": {"schema": _ERRORS[tag]}},
    }
    good = {"description": "Answered.", "content": {"application/json": {"schema": schema}}}
    return {
        "tags": [tag],
        "summary": summary,
        "operationId": identifier,
        "responses": {"200": good, "default": error},
    }


def _body(schema: Document, example: Document | None = None) -> Document:
    content: Document = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {"application/json": content}}

# Tested in tests/serving/front/test_app.py.
"""What the web application says of its routes in OpenAPI."""

from typing import Any

from pydantic import BaseModel

from snnet.serving.front.asking import Answering
from snnet.serving.front.tensors import DATATYPE, INPUT, OUTPUT
from snnet.serving.front.wishes import PictureWishes, Wishes

_BYTES = {"type": "string", "format": "binary"}


class Fault(BaseModel):
    """What was wrong."""

    error: str


class Live(BaseModel):
    """That the server runs."""

    live: bool


class Ready(BaseModel):
    """Whether it takes requests."""

    ready: bool


class ModelReady(Ready):
    """Whether a model takes requests."""

    name: str


class Server(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class Tensor(BaseModel):
    """An input or output."""

    name: str
    datatype: str
    shape: list[int]


class Model(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class OutputTensor(Tensor):
    """Logits; as numbers, or behind the JSON as so many bytes."""

    data: list[float] | None = None
    parameters: dict[str, int] | None = None


class Inferred(BaseModel):
    """An answer; its parameters are stitch, batch, queue_ms, compute_ms and score."""

    model_name: str
    model_version: str
    parameters: dict[str, str | int | float]
    id: str | None = None
    outputs: list[OutputTensor]


class Label(BaseModel):
    """A class, by its name, or its number where there are no names."""

    label: str | int
    probability: float


class Classified(BaseModel):
    """What a picture shows, the most probable first."""

    labels: list[Label]
    stitch: str
    batch: int
    queue_ms: float
    compute_ms: float
    score: float | None = None


class Covered(BaseModel):
    """A class in a mask: its number there, its name or number, the part of the picture that it covers, its color."""

    number: int
    name: str | int
    share: float
    color: str


class Segmented(BaseModel):
    """A mask, or a map of amounts such as depths: base64 of a PNG, and of one to look at; classes or amounts."""

    png: str
    preview: str
    height: int
    width: int
    classes: list[Covered] | None = None
    scale: float | None = None
    min: float | None = None
    mean: float | None = None
    max: float | None = None
    stitch: str
    batch: int
    queue_ms: float
    compute_ms: float
    score: float | None = None


def responses(model: type[BaseModel] | None, *others: int, **content: Any) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers.

    Args:
        model: Where all is well; None where that is no JSON.
        *others: Status codes with a fault that it may answer besides.
        **content: Other content of an answer where all is well.
    """
    well: dict[str, Any] = {"description": "All is well"}
    well |= {"model": model} if model else {}
    well |= {"content": {name: {"schema": schema} for name, schema in content["content"].items()}} if content else {}
    return {200: well, **{code: {"model": Fault, "description": _MEANINGS[code]} for code in others}}


_MEANINGS = {
    400: "The request is wrong; the message says how",
    401: "The bearer token is missing or wrong",
    404: "There is no such model or version",
    408: "The body did not arrive in time",
    413: "The body or the picture is too large",
    500: "What should have computed the answer failed",
    503: "Nothing can answer in time, or the service starts or ends; Retry-After says when to come back",
    504: "The deadline passed while the request waited",
}
ASKING = (400, 401, 404, 408, 413, 500, 503, 504)
"""Faults of routes that ask the service."""


def path_parameters(*names: str) -> dict[str, Any]:
    """Return the description of parameters in a path, by their `names`."""
    return {"parameters": [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]}


def infer_body(service: Answering) -> dict[str, Any]:
    """Return the description of a request for inference, as a `service` takes it."""
    shape = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
    shape["example"] = [1, *service.size]
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "enum": [INPUT]},
            "datatype": {"type": "string", "enum": [DATATYPE]},
            "shape": shape,
            "data": {"type": "array", "description": "normalized numbers, in one list or nested as the shape is"},
            "parameters": _object({"binary_data_size": {"type": "integer", "minimum": 0}}),
        },
    }
    output = _object(
        {"name": {"type": "string", "enum": [OUTPUT]}, "parameters": _object({"binary_data": {"type": "boolean"}})}
    )
    wishes = {**Wishes.model_json_schema()["properties"], "binary_data_output": {"type": "boolean"}}
    schema = _object(
        {
            "id": {"type": "string"},
            "parameters": _object(wishes),
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": {**output, "required": ["name"]}, "maxItems": 1},
        }
    )
    content = {
        "application/json": {"schema": {**schema, "required": ["inputs"]}},
        "application/octet-stream": {"schema": _BYTES},
    }
    return {"requestBody": {"required": True, "content": content}}


def picture_body(kind: type[Wishes] = PictureWishes) -> dict[str, Any]:
    """Return the description of a request with a picture: its query, of a `kind` of wishes, and its body."""
    query = kind.model_json_schema()["properties"].items()
    form = {**_object({"image": _BYTES}), "required": ["image"]}
    kinds = {"image": {"contentType": "image/jpeg, image/png"}}
    content: dict[str, Any] = {kind: {"schema": _BYTES} for kind in ("image/jpeg", "image/png")}
    content["multipart/form-data"] = {"schema": form, "encoding": kinds}
    return {
        "parameters": [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in query],
        "requestBody": {"required": True, "content": content},
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}

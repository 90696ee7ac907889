"""The Open Inference Protocol, version 2, as bodies of HTTP: JSON, or JSON followed by the bytes of tensors.

Sources: github.com/kserve/open-inference-protocol (`specification/protocol/inference_rest.md`) and the extension for
binary tensor data (`docs/protocol/extension_binary_data.md` of Triton Inference Server).
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

from pydantic_core import from_json, to_json

from snnet.errors import did_you_mean
from snnet.serving.front.asking import Answered, Answering, Asked
from snnet.serving.front.faults import InvalidError, TooLargeError, UnknownModelError
from snnet.serving.front.tensors import (
    DATATYPE,
    INPUT,
    OUTPUT,
    check_input,
    check_outputs,
    images_of_bytes,
    images_of_numbers,
    logits_of,
    output_shape,
)
from snnet.serving.front.wishes import Wishes, read_wishes
from snnet.utils import versions

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; what follows is the binary data of tensors."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What a request for inference says.

    Attributes:
        asked: What it asks of the service.
        binary: Whether the logits are to be sent as bytes.
    """

    asked: Asked
    binary: bool


def read_request(
    body: bytes | bytearray, header_length: str | None, service: Answering, json_bytes: int
) -> InferRequest:
    """Return what the body of a request says.

    Args:
        body: JSON, and bytes after it where `header_length` says so.
        header_length: What the header `Inference-Header-Content-Length` says; None if there is none.
        service: What takes the request.
        json_bytes: Bytes of JSON that it may have.

    Raises:
        TooLargeError: If it has more.
        InvalidError: If the body is no such request, or one that the service does not take.
    """
    text, rest = _split(body, header_length)
    # What is made of JSON takes many times its memory, and nothing else runs meanwhile.
    if len(text) > json_bytes:
        raise TooLargeError(
            f"The request has {len(text):,} bytes of JSON; accepted are {json_bytes:,}; send images as binary data, "
            f"with the parameter binary_data_size and the header {HEADER_LENGTH}."
        )
    try:
        content = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        hint = f"; with binary data the header {HEADER_LENGTH} says where JSON ends" if header_length is None else ""
        raise InvalidError(f"The request is not JSON ({error}); NaN and Infinity are no JSON either{hint}.") from None
    _check_keys(content, ("id", "parameters", "inputs", "outputs"), "The request")
    id = content.get("id", "")
    if not isinstance(id, str):
        raise InvalidError(f"The id of the request is {shown(id)}; give text.")
    parameters = dict(_parameters(content, "The request"))
    binary = _flag(parameters.pop("binary_data_output", False), "binary_data_output")
    binary = _read_outputs(content, binary)
    images = _read_images(content, rest, service)
    return InferRequest(read_wishes(parameters, Wishes).asked(images, id), binary)


def write_answer(service: Answering, asked: Asked, answered: Answered, binary: bool) -> tuple[bytes, dict[str, str]]:
    """Return the body of an answer, and its headers.

    Args:
        service: What answered.
        asked: What was asked.
        answered: The answer.
        binary: Send the logits as bytes.

    Raises:
        FailedError: If the logits are not finite.
    """
    logits = logits_of(answered)
    output: dict[str, Any] = {"name": OUTPUT, "datatype": DATATYPE, "shape": list(logits.shape)}
    answer = {
        "model_name": service.name,
        "model_version": answered.version or service.version,
        **({"id": asked.id} if asked.id else {}),
        "parameters": answer_parameters(answered),
        "outputs": [output],
    }
    if not binary:
        output["data"] = logits.ravel().tolist()
        return to_json(answer), {"Content-Type": "application/json"}
    data = logits.tobytes()
    output["parameters"] = {"binary_data_size": len(data)}
    text = json.dumps(answer).encode()
    return text + data, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}


def answer_parameters(answered: Answered) -> dict[str, str | int | float]:
    """Return what an answer says beside its logits; a score that is not known is left out.

    Args:
        answered: The answer.
    """
    known: dict[str, str | int | float] = {
        "stitch": answered.stitch,
        "batch": int(answered.batch),
        "queue_ms": float(answered.queue_ms),
        "compute_ms": float(answered.compute_ms),
    }
    return known | ({"score": float(answered.score)} if math.isfinite(answered.score) else {})


def server_metadata() -> dict[str, Any]:
    """Return what the protocol tells of a server."""
    return {"name": "snnet", "version": versions()["snnet"], "extensions": ["binary_tensor_data"]}


def model_metadata(service: Answering) -> dict[str, Any]:
    """Return what the protocol tells of the model of a `service`."""
    return {
        "name": service.name,
        "versions": [service.version],
        "platform": "snnet",
        "inputs": [{"name": INPUT, "datatype": DATATYPE, "shape": [-1, *service.size]}],
        "outputs": [{"name": OUTPUT, "datatype": DATATYPE, "shape": [-1, *output_shape(service)]}],
    }


def check_model(service: Answering, name: str, version: str) -> None:
    """Refuse a model that is not served.

    Args:
        service: What is served.
        name: Of the model that was asked for.
        version: Of it; any if empty.

    Raises:
        UnknownModelError: If it is another one.
    """
    if name != service.name:
        raise UnknownModelError(f"There is no model {shown(name)} here; served is {service.name!r}.")
    if version not in ("", service.version):
        raise UnknownModelError(
            f"There is no version {shown(version)} of {service.name!r} here; served is {service.version!r}."
        )


def _split(body: bytes | bytearray, header_length: str | None) -> tuple[bytes | bytearray, memoryview]:
    view = memoryview(body)
    if header_length is None:
        return body, view[:0]
    length = int(header_length) if header_length.isdecimal() and len(header_length) < 19 else 0
    if not 1 <= length <= len(body):
        raise InvalidError(
            f"The header {HEADER_LENGTH} says {shown(header_length)}; give the bytes of JSON that the body of "
            f"{len(body):,} begins with."
        )
    return bytes(view[:length]), view[length:]


def _read_images(content: Mapping[str, Any], rest: memoryview, service: Answering) -> Any:
    inputs = _entries(content, "inputs")
    for entry in inputs:
        _check_keys(entry, ("name", "shape", "datatype", "parameters", "data"), "An input")
    first = inputs[0] if inputs else {}
    names = [entry.get("name") for entry in inputs]
    shape = check_input(names, first.get("datatype"), first.get("shape"), service)
    parameters = _parameters(first, f"Input {INPUT!r}")
    _check_keys(parameters, ("binary_data_size",), f"The parameters of input {INPUT!r}")
    size = parameters.get("binary_data_size")
    if (size is None) == ("data" not in first):
        raise InvalidError(f"Input {INPUT!r} must have either data or the parameter binary_data_size, and not both.")
    if size is None and not rest:
        return images_of_numbers(first["data"], shape)
    if (type(size) is not int and size is not None) or (size or 0) != len(rest):
        raise InvalidError(
            f"Input {INPUT!r} says binary_data_size {shown(size)}, and {len(rest):,} bytes follow the JSON; the header "
            f"{HEADER_LENGTH} says where it ends."
        )
    return images_of_bytes(rest, shape)


def _read_outputs(content: Mapping[str, Any], binary: bool) -> bool:
    """Return whether the logits are to be sent as bytes; `binary` is what the whole request says."""
    outputs = _entries(content, "outputs")
    for entry in outputs:
        _check_keys(entry, ("name", "parameters"), "An output")
    check_outputs([entry.get("name") for entry in outputs])
    for entry in outputs:
        parameters = _parameters(entry, f"Output {OUTPUT!r}")
        _check_keys(parameters, ("binary_data",), f"The parameters of output {OUTPUT!r}")
        binary = _flag(parameters.get("binary_data", binary), "binary_data")
    return binary


def _entries(content: Mapping[str, Any], name: str) -> list[Any]:
    entries = content.get(name, [])
    if not isinstance(entries, list):
        raise InvalidError(f"The {name} of the request are {shown(entries)}; give a list of objects.")
    return entries


def _parameters(content: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = content.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidError(f"{what} has parameters {shown(parameters)}; give an object of names and values.")
    return parameters


def _check_keys(content: Any, known: Iterable[str], what: str) -> None:
    if not isinstance(content, dict):
        raise InvalidError(f"{what} is {shown(content)}; give an object with {', '.join(known)}.")
    if unknown := [key for key in content if key not in known]:
        near = did_you_mean(unknown[0][:99], known)
        raise InvalidError(f"{what} has an unknown {shown(unknown[0])}.{near} Known: {', '.join(known)}.")


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidError(f"The parameter {name} is {shown(value)}; give true or false.")
    return value

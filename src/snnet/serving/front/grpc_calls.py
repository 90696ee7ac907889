# Tested in tests/serving/front/test_grpc_api.py.
"""The calls of the Open Inference Protocol over gRPC."""

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc

from snnet.serving.front.asking import Answered, Answering, RefusedError
from snnet.serving.front.faults import DeniedError, InvalidError, is_bearer, message_of, status_of
from snnet.serving.front.metrics import Metrics
from snnet.serving.front.protocol import answer_parameters, check_model, model_metadata, server_metadata
from snnet.serving.front.settings import FrontSettings
from snnet.serving.front.tensors import (
    DATATYPE,
    OUTPUT,
    Shape,
    check_input,
    check_outputs,
    images_of_array,
    images_of_bytes,
    logits_of,
)
from snnet.serving.front.wishes import Wishes, read_wishes

_log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[["Calls", Any, Any], Awaitable[Any]]


def _told(handler: Handler) -> Handler:
    """Return a handler that says as a status of gRPC what went wrong."""

    @wraps(handler)
    async def call(self: "Calls", request: Any, context: Any) -> Any:
        try:
            return await handler(self, request, context)
        except Exception as error:
            status = status_of(error)
            if status.http == 500:
                _log.error("%s failed", handler.__name__, exc_info=error)
            if isinstance(error, RefusedError):
                context.set_trailing_metadata((("retry-after", f"{error.retry_after:g}"),))
            message = message_of(error)
            code = StatusCode[status.grpc]
        return await context.abort(code, message)

    return call


class Calls(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """What callers can ask.

    Args:
        service: What answers.
        settings: What callers may send.
        metrics: Where requests are counted.
    """

    def __init__(self, service: Answering, settings: FrontSettings, metrics: Metrics) -> None:
        self._service, self._metrics = service, metrics
        self._token = settings.token.get_secret_value().encode() if settings.token else None

    async def ServerLive(self, request: Any, context: Any) -> Any:
        """Tell that the server runs."""
        return messages.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:
        """Tell whether it takes requests."""
        return messages.ServerReadyResponse(ready=self._service.ready)

    @_told
    async def ModelReady(self, request: Any, context: Any) -> Any:
        """Tell whether a model takes requests."""
        self._let_in(context)
        check_model(self._service, request.name, request.version)
        return messages.ModelReadyResponse(ready=self._service.ready)

    @_told
    async def ServerMetadata(self, request: Any, context: Any) -> Any:
        """Tell what the server is."""
        self._let_in(context)
        return messages.ServerMetadataResponse(**server_metadata())

    @_told
    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        """Tell what a model takes and gives."""
        self._let_in(context)
        check_model(self._service, request.name, request.version)
        return messages.ModelMetadataResponse(**model_metadata(self._service))

    @_told
    async def ModelInfer(self, request: Any, context: Any) -> Any:
        """Answer images with logits."""
        with self._metrics.call() as call:
            self._let_in(context)
            check_model(self._service, request.model_name, request.model_version)
            check_outputs([output.name for output in request.outputs])
            images = _images(request, self._service)
            asked = read_wishes(_parameters(request.parameters), Wishes).asked(images, request.id)
            return self._answer(request.id, await call.ask(self._service, asked))

    def _answer(self, id: str, answered: Answered) -> Any:
        logits = logits_of(answered)
        answer = messages.ModelInferResponse(
            model_name=self._service.name,
            model_version=answered.version or self._service.version,
            id=id,
            raw_output_contents=[logits.tobytes()],
        )
        answer.outputs.add(name=OUTPUT, datatype=DATATYPE, shape=logits.shape)
        for name, value in answer_parameters(answered).items():
            kind = {str: "string_param", int: "int64_param", float: "double_param"}[type(value)]
            setattr(answer.parameters[name], kind, value)
        return answer

    def _let_in(self, context: Any) -> None:
        if self._token is None:
            return
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not is_bearer(given.encode() if isinstance(given, str) else given, self._token):
            raise DeniedError("This service asks for a token; send it as metadata 'authorization', 'Bearer TOKEN'.")


def _images(request: Any, service: Answering) -> NDArray[np.float32]:
    """Return the images that a request carries, as bytes or as numbers."""
    inputs, raw = request.inputs, request.raw_input_contents
    first = inputs[0] if inputs else messages.ModelInferRequest.InferInputTensor()
    shape: Shape = check_input([each.name for each in inputs], first.datatype, list(first.shape), service)
    numbers = first.contents.fp32_contents
    if len(raw) + bool(numbers) != 1:
        raise InvalidError(
            f"The request has {len(raw)} raw_input_contents and {len(numbers):,} fp32_contents; give the images as one "
            "of both."
        )
    return images_of_bytes(raw[0], shape) if raw else images_of_array(np.array(numbers, np.float32), shape)


def _parameters(given: Any) -> dict[str, Any]:
    """Return the parameters of a request as plain values."""
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in given.items()}
    found = {name: getattr(given[name], kind) for name, kind in kinds.items() if kind}
    if empty := sorted(kinds.keys() - found.keys()):
        raise InvalidError(f"The parameter {empty[0]!r} of the request has no value that can be read.")
    return found

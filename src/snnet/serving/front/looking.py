"""Pictures over HTTP: classes of a whole one, or a mask of one, by what the service is for."""

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from snnet.network import DEPTH_SCALE, MapPrediction, MaskPrediction, answer_of, palette
from snnet.serving.front import documents as told
from snnet.serving.front.asking import Answered, Answering
from snnet.serving.front.bodies import Bodies, picture_of
from snnet.serving.front.callers import Caller
from snnet.serving.front.faults import InvalidError, UnknownModelError
from snnet.serving.front.metrics import Call, Metrics
from snnet.serving.front.pictures import Decoder
from snnet.serving.front.protocol import answer_parameters
from snnet.serving.front.settings import FrontSettings
from snnet.serving.front.tensors import logits_of
from snnet.serving.front.wishes import MaskWishes, PictureWishes, Wishes, read_wishes
from snnet.space import OutputSpec, Stitch

if TYPE_CHECKING:
    from snnet.network import Predicted

CLASSES_HEADER, ANSWER_HEADER, SCALE_HEADER = "snnet-classes", "snnet-answer", "snnet-scale"
"""Headers beside a PNG: the classes in it, what the answer says besides, and steps of 16 bits for a unit."""
_HEADER_BYTES = 6000  # of many names of classes; clients take some 8 KiB in all
_SIXTEEN_BITS = 2**16 - 1


def add_pictures(app: FastAPI, service: Answering, settings: FrontSettings, metrics: Metrics, bodies: Bodies) -> None:
    """Let an application answer `POST /classify` and `POST /segment`, of which a service has one at a time.

    Args:
        app: The application.
        service: What answers.
        settings: What callers may send.
        metrics: Where requests are counted.
        bodies: Reads bodies.
    """
    decoder, dense = Decoder(service, settings), service.output.dense
    answers = told.responses(told.Classified, *told.ASKING)
    if not dense:
        del answers[404]

    async def ask(request: Request, wishes: Wishes, call: Call) -> tuple[Answered, tuple[int, int]]:
        body = await bodies.read(request, settings.picture_bytes)
        with Caller(request):
            pixels, size = await decoder.pixels(await picture_of(request.headers, body))
            del body
            return await call.ask(service, wishes.asked(pixels[None])), size

    @app.post("/classify", responses=answers, openapi_extra=told.picture_body(), include_in_schema=not dense)
    async def classify(request: Request) -> Response:
        with metrics.call() as call:
            spec, classes = service.output, service.classes
            if spec.dense or spec.activation not in ("softmax", "sigmoid"):
                raise UnknownModelError(f"{service.name!r} gives no classes of whole pictures; {_instead(spec)}.")
            wishes = read_wishes(dict(request.query_params), PictureWishes)
            answered, size = await ask(request, wishes, call)
            found = _seen(answered, spec, size, classes)
            labels = [{"label": name, "probability": share} for name, share in found.top(wishes.top)]  # type: ignore[union-attr]
            return JSONResponse({"labels": labels, **answer_parameters(answered)})

    masks = told.responses(told.Segmented, *told.ASKING, content={"image/png": {"type": "string", "format": "binary"}})

    @app.post("/segment", responses=masks, openapi_extra=told.picture_body(MaskWishes), include_in_schema=dense)
    async def segment(request: Request) -> Response:
        with metrics.call() as call:
            spec, classes = service.output, service.classes
            if not spec.dense:
                raise UnknownModelError(f"{service.name!r} gives no masks; {_instead(spec)}.")
            wishes = read_wishes(dict(request.query_params), MaskWishes)
            answered, size = await ask(request, wishes, call)
            # The mask of a large picture takes longer than an event loop may wait.
            return await decoder.beside(partial(_drawn, answered, spec, size, classes, wishes.format == "json"))


def _instead(spec: OutputSpec) -> str:
    if spec.dense:
        return "POST a picture to /segment for a mask"
    if spec.activation in ("softmax", "sigmoid"):
        return "POST a picture to /classify for its classes"
    return "its numbers are at /v2"


def _seen(answered: Answered, spec: OutputSpec, size: tuple[int, int], classes: Sequence[str] | None) -> "Predicted":
    return answer_of(logits_of(answered)[0], Stitch(answered.stitch), spec, size, classes)


def _drawn(
    answered: Answered, spec: OutputSpec, size: tuple[int, int], classes: Sequence[str] | None, as_json: bool
) -> Response:
    found = _seen(answered, spec, size, classes)
    facts: dict[str, Any] = {"height": size[0], "width": size[1]}
    if isinstance(found, MaskPrediction):
        colors = palette(min(found.num_classes, 256))
        facts["classes"] = [
            {**share._asdict(), "color": f"#{bytes(colors[share.number % 256]).hex()}"} for share in found.shares
        ]
        headers = {CLASSES_HEADER: _fitting(facts["classes"])}
        picture = found.picture()
        preview = MaskPrediction(found.stitch, found.mask.astype(np.uint8), len(colors)).picture()
    else:
        assert isinstance(found, MapPrediction)
        if found.values.ndim != 2:
            raise InvalidError("There are several numbers for each pixel, which no picture shows; they are at /v2.")
        low, high = float(found.values.min()), float(found.values.max())
        scale = DEPTH_SCALE if high * DEPTH_SCALE <= _SIXTEEN_BITS else _SIXTEEN_BITS / high * (1 - 1e-6)
        facts |= {"scale": scale, "min": low, "mean": float(found.values.mean()), "max": high}
        headers = {SCALE_HEADER: repr(scale)}
        picture = found.picture(scale)
        preview = Image.fromarray(((found.values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))
    if as_json:
        pictures = {"png": _png(picture), "preview": _png(preview)}
        texts = {name: b64encode(data).decode() for name, data in pictures.items()}
        return JSONResponse({**texts, **facts, **answer_parameters(answered)})
    headers[ANSWER_HEADER] = json.dumps(answer_parameters(answered))
    return Response(_png(picture), media_type="image/png", headers=headers)


def _fitting(classes: list[dict[str, Any]]) -> str:
    """Return classes as JSON in ASCII, as many as a header may hold; they are in order of what they cover."""
    while len(text := json.dumps(classes)) > _HEADER_BYTES:
        classes = classes[: len(classes) * _HEADER_BYTES // len(text)]
    return text


def _png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()

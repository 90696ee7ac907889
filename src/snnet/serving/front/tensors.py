# Tested in tests/serving/front/test_protocol.py.
"""Tensors as the Open Inference Protocol carries them, checked before anything is made of them."""

from collections.abc import Iterator, Sequence
from math import prod
from reprlib import repr as shown
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnet.serving.front.asking import Answered, Answering, FailedError
from snnet.serving.front.faults import InvalidError
from snnet.utils import counted

INPUT, OUTPUT, DATATYPE = "images", "logits", "FP32"
Shape = tuple[int, int, int, int]


def check_input(names: Sequence[Any], datatype: Any, shape: Any, service: Answering) -> Shape:
    """Return the shape of the one input of a request.

    Args:
        names: Names of all inputs that were given.
        datatype: That of the first one.
        shape: That of the first one.
        service: What takes it.

    Raises:
        InvalidError: If there is another number of inputs, or it has another name, type of number or shape.
    """
    if len(names) != 1 or names[0] != INPUT:
        raise InvalidError(f"The inputs are {shown(names)}; give one, named {INPUT!r}.")
    if datatype != DATATYPE:
        raise InvalidError(f"Input {INPUT!r} has datatype {shown(datatype)}; give {DATATYPE!r}, normalized images.")
    wanted = f"[N, {', '.join(map(str, service.size))}] with N from 1 to {service.largest}"
    whole = isinstance(shape, Sequence) and all(type(side) is int for side in shape)
    if not whole or len(shape) != 4 or tuple(shape[1:]) != tuple(service.size):
        raise InvalidError(f"Input {INPUT!r} has shape {shown(shape)}; accepted: {wanted}.")
    if not 1 <= shape[0] <= service.largest:
        raise InvalidError(f"Input {INPUT!r} has {shown(shape[0])} images; accepted: {wanted}. Send more in parts.")
    return (shape[0], *service.size)


def check_outputs(names: Sequence[Any]) -> None:
    """Refuse `names` of outputs that are not just the one there is; none at all stand for it.

    Raises:
        InvalidError: If so.
    """
    if names and list(names) != [OUTPUT]:
        raise InvalidError(f"The outputs asked for are {shown(names)}; there is one, {OUTPUT!r}.")


def images_of_bytes(data: bytes | memoryview, shape: Shape) -> NDArray[np.float32]:
    """Return images from their bytes, little-endian float32 in rows.

    Args:
        data: The bytes.
        shape: `(N, C, H, W)`, checked before.

    Raises:
        InvalidError: If there are more or fewer bytes than the shape needs, or a number is not finite.
    """
    if len(data) != 4 * prod(shape):
        raise InvalidError(
            f"Input {INPUT!r} has {counted(len(data), 'byte')}; shape {list(shape)} of {DATATYPE} needs "
            f"{4 * prod(shape):,}."
        )
    return images_of_array(np.frombuffer(data, "<f4").astype(np.float32), shape)


def images_of_array(numbers: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Return images from an array.

    Args:
        numbers: The numbers, in one row.
        shape: `(N, C, H, W)`, checked before.

    Raises:
        InvalidError: If there are more or fewer numbers than the shape needs, or one is not finite.
    """
    if len(numbers) != prod(shape):
        raise InvalidError(
            f"Input {INPUT!r} has {counted(len(numbers), 'number')}; shape {list(shape)} needs {prod(shape):,}."
        )
    if not np.isfinite(numbers).all():
        raise InvalidError(f"Input {INPUT!r} has numbers that are not finite in {DATATYPE}; give normalized images.")
    return numbers.reshape(shape)


def images_of_numbers(data: Any, shape: Shape) -> NDArray[np.float32]:
    """Return images from numbers, in one list or nested as the shape is.

    Args:
        data: Lists of numbers.
        shape: `(N, C, H, W)`, checked before.

    Raises:
        InvalidError: If there are more or fewer of them than the shape needs, something is no number or not finite.
    """
    nested = isinstance(data, list) and bool(data) and isinstance(data[0], list)
    images = np.empty(prod(shape), np.float32)
    filled = 0
    try:
        with np.errstate(over="ignore"):
            for row in _rows(data, shape if nested else (prod(shape),)):
                images[filled : filled + len(row)] = np.array(row, np.float64)
                filled += len(row)
    except OverflowError:
        raise InvalidError(f"Input {INPUT!r} has numbers beyond {DATATYPE}; give normalized images.") from None
    return images_of_array(images, shape)


def output_shape(service: Answering) -> tuple[int, ...]:
    """Return the shape of the logits of one image, by what a `service` gives."""
    return (service.class_count, *service.size[1:]) if service.output.dense else (service.class_count,)


def logits_of(answered: Answered) -> NDArray[np.float32]:
    """Return the logits of an answer, `(N, ...)`, as they are sent.

    Args:
        answered: The answer.

    Raises:
        FailedError: If one is not finite.
    """
    logits = np.ascontiguousarray(answered.logits, "<f4")
    if not np.isfinite(logits).all():
        raise FailedError(f"Stitch {answered.stitch} gave logits that are not finite; its weights are damaged.")
    return logits


def _rows(data: Any, shape: tuple[int, ...]) -> Iterator[list[float]]:
    """Yield the innermost lists of nested ones that have a shape."""
    if not isinstance(data, list) or len(data) != shape[0]:
        found = f"a list of {len(data):,}" if isinstance(data, list) else shown(data)
        raise InvalidError(f"Input {INPUT!r} has {found} in its data where its shape asks for a list of {shape[0]:,}.")
    if len(shape) > 1:
        for part in data:
            yield from _rows(part, shape[1:])
    elif others := set(map(type, data)) - {int, float}:
        raise InvalidError(
            f"Input {INPUT!r} has {', '.join(sorted(kind.__name__ for kind in others))} in its data where its shape "
            "asks for numbers."
        )
    else:
        yield data

# Tested in tests/anchors/test_from_modules.py.
"""The proof that segments give a model's own forward pass, or the name of the first segment that differs."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from snnet.anchors.entries import Segments, modules_of, run_entry
from snnet.anchors.trace import Visit, batch_shape, path_of, record, run_part
from snnet.errors import AnchorError


def prove_segments(
    model: nn.Module,
    name: str,
    segments: Segments,
    images: Tensor,
    tolerance: float,
    begin: Callable[[], None] = lambda: None,
) -> tuple[int, frozenset[str]]:
    """Compare the segments with the model's own forward pass: order, inputs and outputs of all modules, and logits.

    In training mode forward passes may do more: dropout by a function, a second head.

    Args:
        model: The model, in the mode that is meant.
        name: What messages call it.
        segments: What it is said to run.
        images: Sample `(B, C, H, W)`; on the meta device only order and shapes are compared.
        tolerance: Largest difference, relative to the largest value of the tensor.
        begin: Gives statistics of batch norms and random state back to the segments as the model found them.

    Returns:
        Width of the logits, and the segments (`block 3`, `the head`) that write into the features that they receive.

    Raises:
        AnchorError: If something differs, or the model does not run on the images.
    """
    with torch.no_grad():
        visits, logits = record(model, modules_of(model, (entry for _, entry in segments.labeled())), images, name)
        _check_order(model, name, segments, visits)
        if logits.ndim != 2:
            raise AnchorError(f"{name} gives {_shape(logits)}, not logits (B, num_classes); stitches end with these.")
        begin()
        writers = _check_values(model, name, segments, visits, images, logits, tolerance)
    return logits.shape[-1], writers


def _check_order(model: nn.Module, name: str, segments: Segments, visits: Sequence[Visit]) -> None:
    """Refuse modules that the model calls in another order than the segments."""
    named = [(where, entry) for where, entry in segments.labeled() if isinstance(entry, str)]
    ran = [visit.module for visit in visits]
    for number, (where, entry) in enumerate(named):
        module = model.get_submodule(entry)
        if module not in ran:
            raise AnchorError(
                f"{name} never calls {entry!r} of {where} in its forward pass; name the modules that it calls."
            )
        if number >= len(ran) or ran[number] is not module:
            instead = repr(path_of(model, ran[number])) if number < len(ran) else "nothing more"
            raise AnchorError(
                f"{where} of {name} differs from its forward pass: it runs {entry!r} where the model runs "
                f"{instead}; list stem, stages and head in the order of the model's forward."
            )
    if len(ran) > len(named):
        raise AnchorError(
            f"{name} calls {path_of(model, ran[len(named)])!r} again after all segments; list a module that runs "
            "twice twice."
        )


def _check_values(
    model: nn.Module,
    name: str,
    segments: Segments,
    visits: Sequence[Visit],
    x: Tensor,
    logits: Tensor,
    tolerance: float,
) -> frozenset[str]:
    """Refuse values that differ, and return the segments that write into what they receive."""
    coming, before, writers = iter(visits), "the input", set[str]()
    for where, entry in segments.labeled():
        visit = next(coming) if isinstance(entry, str) else None
        shown = repr(entry) if isinstance(entry, str) else f"the function {getattr(entry, '__name__', entry)!r}"
        if visit is not None and not _same(x, visit.input, tolerance):
            raise AnchorError(
                f"{where} of {name} differs from its forward pass: there {shown} receives {_shape(visit.input)}, but "
                f"{before} gives {_shape(x)}{_error(x, visit.input)}. What the model does between {before} and {shown} "
                "is missing; add it as a module path or a function."
            )
        version, given = x._version, x
        part = f"{where} of {name}"
        x = run_part(
            partial(run_entry, model, entry), x, f"{shown} in {part}", f"{part} cannot run {shown} on features"
        )
        if given._version != version:
            writers.add(where)
        if visit is not None and not _same(x, visit.output, tolerance):
            raise AnchorError(
                f"{where} of {name} differs from its forward pass: {shown} gives another output"
                f"{_error(x, visit.output)} for the same input; is it random?"
            )
        before = shown
    if not _same(x, logits, tolerance):
        raise AnchorError(
            f"the head of {name} differs from its forward pass: after {before} the segments have {_shape(x)} and the "
            f"model gives {_shape(logits)}{_error(x, logits)}; add what is missing to the head."
        )
    return frozenset(writers)


def _same(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    if found.shape != expected.shape:
        return False
    return found.is_meta or _difference(found, expected) <= tolerance


def _difference(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12)).item()


def _error(found: Tensor, expected: Tensor) -> str:
    if found.shape != expected.shape or found.is_meta:
        return ""
    return f", {_difference(found, expected):.1e} away relative to the largest value"


def _shape(x: Tensor) -> str:
    return batch_shape(x.shape[1:])

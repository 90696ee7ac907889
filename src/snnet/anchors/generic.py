"""timm models without a family of their own: stem, blocks and head are found by watching a forward pass.

timm splits a model into `forward_features` and `forward_head`. Within the first, every module is seen with what it
receives and gives. Where each tensor goes untouched from one module to the next, the modules are a chain, and a chain
of equal shapes is a stage. What is no chain is refused: a part that takes more than its predecessor's output, or one
before which the model does something that is no module.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snnet.anchors.anchor import AnchorSource, sample_images
from snnet.anchors.entries import Entry, Segments
from snnet.anchors.images import input_spec
from snnet.anchors.segments import SegmentedAnchor
from snnet.anchors.trace import Call, batch_shape, calls_of
from snnet.errors import AnchorError
from snnet.space import InputSpec, Layout

_CONTAINERS = (nn.Sequential, nn.ModuleList)
_STEM = r"^(stem|patch_embed|conv_stem)"

_Stages = tuple[tuple[tuple[str, ...], ...], ...]


class GenericAnchor(SegmentedAnchor):
    """The last resort for a timm model; its segments are proven on a sample when it is made.

    Raises:
        AnchorError: If a part of the model cannot be placed; the part is named.
    """

    def __init__(self, model: nn.Module, name: str, source: AnchorSource | None = None) -> None:
        spec = _input(model, name)
        segments, outputs, head = _find_segments(model, name, spec)
        layout, prefix = _layout(model, name, outputs)
        grid = getattr(_patches(model), "grid_size", None) if layout == "tokens" else None
        super().__init__(model, name, segments, spec, source=source, layout=layout, prefix_tokens=prefix, grid=grid)
        self._head_paths = head

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the modules that the head runs, those within the model's `forward_head` included."""
        return [self.model.get_submodule(path) for path in self._head_paths]


def is_timm_model(model: nn.Module) -> bool:
    """Tell whether a model has what timm gives its models."""
    return all(hasattr(model, name) for name in ("pretrained_cfg", "forward_features", "forward_head"))


class _NoChainError(Exception):
    """Where the calls within a module are no chain; the message names the part."""


def _patches(model: nn.Module) -> nn.Module | None:
    """Return the module that cuts images into patches, by whatever name, if the model has one."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return next((m for m in model.modules() if first is not None and getattr(m, "proj", None) is first), None)


def _input(model: nn.Module, name: str) -> InputSpec:
    size = getattr(_patches(model), "img_size", None)
    spec = input_spec(model, size=size)
    recorded: int = model.pretrained_cfg["input_size"][0]  # type: ignore[index, assignment]
    if spec.size[0] == recorded:
        return spec
    try:
        _watch(model, name, spec)
    except AnchorError:
        # What the model does before its first convolution makes other channels of the images.
        return input_spec(model, size=size, channels=recorded)
    return spec


def _watch(model: nn.Module, name: str, spec: InputSpec) -> tuple[list[Call], Tensor, Tensor]:
    """Run `forward_features` on a sample; return the calls in it, the sample, and the features."""
    first = next(model.parameters(), torch.empty(0))
    images = sample_images(spec, 2).to(first.device, first.dtype)
    calls, features = calls_of(model, model.forward_features, images, name, _OTHER_SIZE)  # type: ignore[arg-type]
    return calls, images, features


def _find_segments(model: nn.Module, name: str, spec: InputSpec) -> tuple[Segments, list[Tensor], list[str]]:
    """Return the segments, the outputs of all blocks, and the paths of the head's modules."""
    calls, images, features = _watch(model, name, spec)
    late, _ = calls_of(model, model.forward_head, features, name)  # type: ignore[arg-type]
    try:
        stem, stages, tail = _place(model, calls, _chain(calls, None, images, features))
    except _NoChainError as gap:
        raise AnchorError(f"{name} has no family of its own, and {gap}. {_WAY_OUT}") from None
    head: tuple[Entry, ...] = (*(unit.path for unit in tail), model.forward_head)  # type: ignore[arg-type]
    ends = {block[-1] for stage in stages for block in stage}
    outputs = [call.output for call in calls if call.path in ends]
    tops = [call.path for call in late if call.parent is None]
    paths = list(dict.fromkeys([unit.path for unit in tail] + tops))
    return Segments(tuple(unit.path for unit in stem), stages, head), outputs, paths


def _place(model: nn.Module, calls: Sequence[Call], chain: Sequence[Call]) -> tuple[list[Call], _Stages, list[Call]]:
    """Return the calls of the stem, the stages of blocks, and the calls between them and `forward_head`.

    What timm groups as blocks are whole stages in some models; if nothing can be stitched that way, they are opened.

    Raises:
        _NoChainError: If nothing can be stitched.
    """
    for blocks in (tuple(_patterns(model, "blocks")), ()):
        units = _flatten(calls, chain, blocks)
        stem, body, tail = _split(model, units)
        stages = _stages(model, body)
        if max(map(len, stages), default=0) > 1:
            return stem, stages, tail
    raise _nothing_to_stitch(calls, units)


def _nothing_to_stitch(calls: Sequence[Call], units: Sequence[Call]) -> _NoChainError:
    """Return why there is nothing to stitch: what keeps the largest part closed."""
    largest = max(units, key=lambda unit: sum(p.numel() for p in unit.module.parameters()))
    said = "no two blocks with equal shapes follow each other in a container of it, so there is nothing to stitch"
    try:
        _chain(calls, largest, largest.only_input, largest.output)
    except _NoChainError as gap:
        return _NoChainError(f"{said}: its {largest.path!r} cannot be opened, for {gap}")
    return _NoChainError(f"{said}: its {largest.path!r} is one block")


def _chain(calls: Sequence[Call], parent: Call | None, start: Any, end: Any) -> list[Call]:
    """Return the calls within `parent`, if each receives exactly what the one before it gave.

    Raises:
        _NoChainError: If they are no chain; the part at which it breaks is named.
    """
    chain, current = [], start
    before = f"{parent.path!r} receives" if parent else "the model receives"
    for call in (call for call in calls if call.parent is parent):
        if call.only_input is None:
            raise _NoChainError(
                f"its {call.path!r} cannot be placed: it receives more than the one tensor of features that {before}"
            )
        if call.only_input is not current:
            raise _NoChainError(
                f"its {call.path!r} cannot be placed: it does not receive what {before}; the model does something in "
                "between that is no module"
            )
        chain.append(call)
        current, before = call.output, f"{call.path!r} gives"
    if current is not end:
        where = f"{parent.path!r}" if parent else "forward_features"
        raise _NoChainError(
            f"the end of its {where} cannot be placed: it does something that is no module after what {before}"
        )
    return chain


_WAY_OUT = "Name its modules with snnet.anchor_from_modules, or subclass snnet.Anchor."
_OTHER_SIZE = (
    " The image size is that of timm's record; a model built for another one needs it there too: give its name and "
    "image_size=N, or timm.create_model(..., pretrained_cfg_overlay={'input_size': (3, H, W)})."
)


def _flatten(calls: Sequence[Call], chain: Sequence[Call], blocks: Sequence[str]) -> list[Call]:
    """Open stages and other containers down to blocks; `blocks` are patterns of paths that stay closed."""
    units: list[Call] = []
    for call in chain:
        inner = [] if _is_block(call.path, blocks) else _inner_chain(calls, call)
        units += _flatten(calls, inner, blocks) if inner else [call]
    return units


def _inner_chain(calls: Sequence[Call], call: Call) -> list[Call]:
    """Return what a container runs; nothing for a block, and for a module that is more than a chain."""
    holds = isinstance(call.module, _CONTAINERS) or any(isinstance(m, _CONTAINERS) for m in call.module.children())
    if not holds or call.only_input is None:
        return []
    try:
        return _chain(calls, call, call.only_input, call.output)
    except _NoChainError:
        return []


def _is_block(path: str, blocks: Sequence[str]) -> bool:
    """Tell whether timm's own grouping of parameters takes the module as one block."""
    found = (re.match(pattern, f"{path}.") for pattern in blocks)
    return any(match is not None and match.group(0).rstrip(".") == path for match in found)


def _patterns(model: nn.Module, group: str) -> Iterator[str]:
    matcher: Any = getattr(model, "group_matcher", dict)()
    found = matcher.get(group, ()) if isinstance(matcher, dict) else ()
    for item in [found] if isinstance(found, str) else found:
        pattern, order = (item, None) if isinstance(item, str) else item
        if order is None:
            yield pattern


def _split(model: nn.Module, units: Sequence[Call]) -> tuple[list[Call], list[Call], list[Call]]:
    """Return stem, body and tail: the body runs from the first child of a container to the last."""
    patterns = [_STEM, *_patterns(model, "stem")]
    inside = [
        number
        for number, unit in enumerate(units)
        if isinstance(model.get_submodule(unit.path.rpartition(".")[0]), _CONTAINERS)
        and not any(re.match(pattern, f"{unit.path}.") for pattern in patterns)
    ]
    if not inside:
        return list(units), [], []
    return list(units[: inside[0]]), list(units[inside[0] : inside[-1] + 1]), list(units[inside[-1] + 1 :])


def _stages(model: nn.Module, body: Sequence[Call]) -> _Stages:
    """Group units into stages of equal output; what only changes the shape between two begins the later one."""
    stages: list[list[tuple[str, ...]]] = []
    shape: torch.Size | None = None
    waiting: tuple[str, ...] = ()
    for unit in body:
        contained = isinstance(model.get_submodule(unit.path.rpartition(".")[0]), _CONTAINERS)
        same = unit.output.shape == shape
        if _is_small(unit.module) and same and stages and not waiting:
            stages[-1][-1] += (unit.path,)  # an activation or a norm after a convolution
        elif not contained or (_is_small(unit.module) and not same):
            waiting += (unit.path,)  # a transition, or a pooling
        else:
            if not same:
                stages.append([])
            stages[-1].append((*waiting, unit.path))
            shape, waiting = unit.output.shape, ()
    if waiting and stages:
        stages[-1][-1] += waiting
    return tuple(map(tuple, stages))


def _is_small(module: nn.Module) -> bool:
    return all(parameter.ndim < 2 for parameter in module.parameters())


def _layout(model: nn.Module, name: str, outputs: Sequence[Tensor]) -> tuple[Layout, int]:
    """Return the layout of feature maps, `tokens` if there are none, and how many tokens stand before a grid.

    A map is square, or known by the model's width.
    """
    prefix = int(getattr(model, "num_prefix_tokens", 0))
    if all(features.ndim == 3 for features in outputs):
        return "tokens", prefix
    shape = next((features.shape for features in reversed(outputs) if features.ndim == 4), outputs[-1].shape)
    if len(shape) == 4:
        first, last = (size == getattr(model, "num_features", None) for size in (shape[1], shape[3]))
        if first == last:
            first, last = shape[2] == shape[3] != shape[1], shape[1] == shape[2] != shape[3]
        if first or last:
            return "NCHW" if first else "NHWC", prefix
    raise AnchorError(f"{name} has features of shape {batch_shape(shape[1:])}, whose layout is unknown. {_WAY_OUT}")

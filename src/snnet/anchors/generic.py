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
from snnet.anchors.segments import SegmentedAnchor
from snnet.anchors.timm_input import input_spec
from snnet.anchors.trace import Call, batch_shape, calls_of
from snnet.errors import AnchorError
from snnet.specs import InputSpec, Layout

_CONTAINERS = (nn.Sequential, nn.ModuleList)
_STEM = r"^(stem|patch_embed|conv_stem)"


class GenericAnchor(SegmentedAnchor):
    """The last resort for a timm model; its segments are proven on a sample when it is made.

    Raises:
        AnchorError: If a part of the model cannot be placed; the part is named.
    """

    def __init__(self, model: nn.Module, name: str, source: AnchorSource | None = None) -> None:
        spec = _input(model)
        segments, features, head = _find_segments(model, name, spec)
        layout, prefix = _layout(model, name, features)
        grid = getattr(getattr(model, "patch_embed", None), "grid_size", None) if features.ndim == 3 else None
        super().__init__(model, name, segments, spec, source=source, layout=layout, prefix_tokens=prefix, grid=grid)
        self._head_paths = head

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the modules that the head runs, those within the model's `forward_head` included."""
        return [self.model.get_submodule(path) for path in self._head_paths]


def is_timm_model(model: nn.Module) -> bool:
    """Tell whether a model has what timm gives its models."""
    return all(hasattr(model, name) for name in ("pretrained_cfg", "forward_features", "forward_head"))


def _input(model: nn.Module) -> InputSpec:
    size = getattr(getattr(model, "patch_embed", None), "img_size", None)
    return input_spec(model, size=size)


def _find_segments(model: nn.Module, name: str, spec: InputSpec) -> tuple[Segments, Tensor, list[str]]:
    """Return the segments, the last block's output, and the paths of the head's modules."""
    first = next(model.parameters(), torch.empty(0))
    images = sample_images(spec, 2).to(first.device, first.dtype)
    calls, features = calls_of(model, model.forward_features, images, name)  # type: ignore[arg-type]
    late, _ = calls_of(model, model.forward_head, features, name)  # type: ignore[arg-type]
    units = _flatten(model, calls, _chain(calls, None, images, features, name))
    stem, body, tail = _split(model, units)
    stages = _stages(model, body)
    if max(map(len, stages), default=0) < 2:
        largest = max(units, key=lambda unit: sum(p.numel() for p in unit.module.parameters()))
        raise AnchorError(
            f"{name} has no family of its own, and no two blocks with equal shapes follow each other in it: its "
            f"{largest.path!r} cannot be opened, so there is nothing to stitch. {_WAY_OUT}"
        )
    head: tuple[Entry, ...] = (*(unit.path for unit in tail), model.forward_head)  # type: ignore[arg-type]
    segments = Segments(tuple(unit.path for unit in stem), stages, head)
    last = body[-1].output
    tops = [call.path for call in late if call.parent is None]
    return segments, last, list(dict.fromkeys([unit.path for unit in tail] + tops))


def _chain(calls: Sequence[Call], parent: Call | None, start: Tensor, end: Any, name: str) -> list[Call]:
    """Return the calls within `parent`, if each receives exactly what the one before it gave.

    Raises:
        AnchorError: If they are no chain; the part at which it breaks is named.
    """
    chain, current, before = [], start, "its input"
    for call in (call for call in calls if call.parent is parent):
        if call.only_input is None:
            raise AnchorError(
                f"{name} has no family of its own, and its {call.path!r} cannot be placed: it receives more than the "
                f"one tensor of features that {before} gives. {_WAY_OUT}"
            )
        if call.only_input is not current:
            raise AnchorError(
                f"{name} has no family of its own, and its {call.path!r} cannot be placed: it does not receive what "
                f"{before} gives; the model does something in between that is no module. {_WAY_OUT}"
            )
        chain.append(call)
        current, before = call.output, repr(call.path)
    if current is not end:
        where = f"{parent.path!r}" if parent else "forward_features"
        raise AnchorError(
            f"{name} has no family of its own, and the end of its {where} cannot be placed: after {before} it does "
            f"something that is no module. {_WAY_OUT}"
        )
    return chain


_WAY_OUT = "Name its modules with snnet.Anchor.from_modules, or subclass snnet.Anchor."


def _flatten(model: nn.Module, calls: Sequence[Call], chain: Sequence[Call]) -> list[Call]:
    """Open stages and other containers down to blocks."""
    units: list[Call] = []
    for call in chain:
        inner = _inner_chain(model, calls, call)
        units += _flatten(model, calls, inner) if inner else [call]
    return units


def _inner_chain(model: nn.Module, calls: Sequence[Call], call: Call) -> list[Call]:
    """Return what a container runs; nothing for a block, and for a module that is more than a chain."""
    holds = isinstance(call.module, _CONTAINERS) or any(isinstance(m, _CONTAINERS) for m in call.module.children())
    if not holds or _is_block(model, call.path) or call.only_input is None:
        return []
    try:
        return _chain(calls, call, call.only_input, call.output, "")
    except AnchorError:
        return []


def _is_block(model: nn.Module, path: str) -> bool:
    """Tell whether timm's own grouping of parameters takes the module as one block."""
    for pattern in _patterns(model, "blocks"):
        found = re.match(pattern, f"{path}.")
        if found and found.group(0).rstrip(".") == path:
            return True
    return False


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


def _stages(model: nn.Module, body: Sequence[Call]) -> tuple[tuple[tuple[str, ...], ...], ...]:
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


def _layout(model: nn.Module, name: str, features: Tensor) -> tuple[Layout, int]:
    """Return the layout of features, and how many tokens stand before the grid; maps are square or known by width."""
    if features.ndim == 3:
        return "tokens", int(getattr(model, "num_prefix_tokens", 0))
    width = getattr(model, "num_features", None)
    if features.ndim == 4 and (features.shape[1] == width) != (features.shape[3] == width):
        return ("NCHW" if features.shape[1] == width else "NHWC"), 0
    if features.ndim == 4 and features.shape[2] == features.shape[3] != features.shape[1]:
        return "NCHW", 0
    if features.ndim == 4 and features.shape[1] == features.shape[2] != features.shape[3]:
        return "NHWC", 0
    raise AnchorError(
        f"{name} has features of shape {batch_shape(features.shape[1:])}, whose layout is unknown. {_WAY_OUT}"
    )

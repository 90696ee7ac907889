"""Any model as an anchor, by naming its modules."""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from torch import nn

from snnet.anchors.anchor import Anchor
from snnet.anchors.entries import Entry, Segments
from snnet.anchors.segments import SegmentedAnchor
from snnet.anchors.trace import path_of
from snnet.errors import AnchorError, did_you_mean
from snnet.space import InputSpec, Layout

_CONTAINERS = (nn.Sequential, nn.ModuleList)


def anchor_from_modules(
    model: nn.Module,
    *,
    stem: Sequence[Any],
    stages: Sequence[Any],
    head: Sequence[Any],
    input: InputSpec | tuple[int, int, int],
    num_classes: int | None = None,
    name: str | None = None,
    layout: Layout = "NCHW",
    prefix_tokens: int = 0,
    grid: tuple[int, int] | None = None,
) -> Anchor:
    """Show any model as an anchor by naming its modules, proven on a sample to give the model's forward pass.

    Entries are paths of modules (`"layer1.0"`) or functions from tensor to tensor (`lambda x: x.mean((2, 3))`),
    run in order. A function must not hold parameters: costs and training know those of named modules only.

    Args:
        model: The built model; it is viewed, never copied or changed.
        stem: Entries from images to what the first block receives.
        stages: For each stage the path of a `Sequential` or `ModuleList`, whose children are its blocks, or a list
            of blocks. A block is an entry, or a list of entries where a transition comes before it.
        head: Entries from the last block's output to logits.
        input: Size and normalization of the images; `(C, H, W)` alone means pixels from 0 to 1.
        num_classes: Width of the logits, checked against what the model gives.
        name: What tables and charts call it; the name of the class if None.
        layout: Of features with four axes, `NCHW` or `NHWC`.
        prefix_tokens: Class and register tokens before the grid, for features `(B, N, C)`.
        grid: Height and width of the grid of tokens; square if None.

    Returns:
        The anchor, which shares the model's weights.

    Raises:
        AnchorError: If a module does not exist, the segments do not give the model's forward pass (the first
            that differs is named), or features or logits are not as `layout` and `num_classes` say.

    Example:
        >>> anchor = snnet.anchor_from_modules(
        ...     torchvision.models.resnet18(),
        ...     stem=["conv1", "bn1", "relu", "maxpool"],
        ...     stages=["layer1", "layer2", "layer3", "layer4"],
        ...     head=["avgpool", lambda x: x.flatten(1), "fc"],
        ...     input=(3, 224, 224),
        ... )
    """
    if layout not in get_args(Layout):
        raise AnchorError(f"layout={layout!r} is unknown; accepted: {', '.join(get_args(Layout))}.")
    name = name or type(model).__name__
    anchor = SegmentedAnchor(
        model,
        name,
        _segments(model, name, stem, stages, head),
        _input_spec(input),
        num_classes=num_classes,
        layout=layout,
        prefix_tokens=prefix_tokens,
        grid=grid,
    )
    anchor.feature(-1)  # Says at once which features have another layout.
    return anchor


def _segments(model: nn.Module, name: str, stem: Any, stages: Any, head: Any) -> Segments:
    """Return what `Anchor.from_modules` was told that a model runs."""
    if not isinstance(model, nn.Module):
        raise AnchorError(f"{model!r} is not a torch.nn.Module; build the model, and give that.")
    segments = Segments(
        tuple(_entry(model, "stem", entry) for entry in _listed("stem", stem)),
        tuple(_stage(model, number, stage) for number, stage in enumerate(_listed("stages", stages))),
        tuple(_entry(model, "head", entry) for entry in _listed("head", head)),
    )
    if not segments.blocks:
        raise AnchorError(f"stages of {name} names no blocks; give at least one stage.")
    return segments


def _input_spec(input: Any) -> InputSpec:
    """Return the images that a model takes; a size alone means pixels from 0 to 1."""
    if isinstance(input, InputSpec):
        return input
    if not isinstance(input, list | tuple) or len(input) != 3:
        raise AnchorError(f"input={input!r} is neither an InputSpec nor (channels, height, width).")
    channels, height, width = input
    return InputSpec((channels, height, width), (0.0,) * channels, (1.0,) * channels)


def _listed(what: str, entries: Any) -> Iterable[Any]:
    if isinstance(entries, list | tuple):
        return entries
    raise AnchorError(f"{what}={entries!r} is not a list; write {what}=[...], even for one entry.")


def _stage(model: nn.Module, number: int, stage: Any) -> tuple[tuple[Entry, ...], ...]:
    where = f"stages[{number}]"
    if isinstance(stage, nn.Module):
        stage = _built(model, where, stage)
    if isinstance(stage, list | tuple):
        blocks = tuple(_block(model, where, block) for block in stage)
    elif isinstance(stage, str):
        container = _module(model, where, stage)
        if not isinstance(container, _CONTAINERS):
            raise AnchorError(
                f"{stage!r} in {where} is a {type(container).__name__}, not a Sequential or ModuleList of blocks; "
                f"list its blocks: [{stage!r}, ...]."
            )
        blocks = tuple((f"{stage}.{child}",) for child, _ in container.named_children())
    else:
        raise AnchorError(
            f"{stage!r} in {where} is neither the path of a Sequential or ModuleList nor a list of blocks."
        )
    if not blocks:
        raise AnchorError(f"{where} has no blocks; leave it out or name some.")
    return blocks


def _block(model: nn.Module, where: str, block: Any) -> tuple[Entry, ...]:
    parts = block if isinstance(block, list | tuple) else [block]
    if not parts:
        raise AnchorError(f"A block in {where} is an empty list; name what it runs.")
    return tuple(_entry(model, where, part) for part in parts)


def _entry(model: nn.Module, where: str, entry: Any) -> Entry:
    if isinstance(entry, str):
        if isinstance(_module(model, where, entry), nn.ModuleList):
            raise AnchorError(f"{entry!r} in {where} is a ModuleList, which does not run; name the modules in it.")
        return entry
    if isinstance(entry, nn.Module):
        return _built(model, where, entry)
    if callable(entry):
        function: Entry = entry
        return function
    raise AnchorError(f"{entry!r} in {where} is neither the path of a module nor a function from tensor to tensor.")


def _built(model: nn.Module, where: str, module: nn.Module) -> Entry:
    if any(part is module for part in model.modules()):
        return path_of(model, module)
    if module.state_dict():
        raise AnchorError(
            f"{type(module).__name__} in {where} has weights but is no part of the model, so they would be neither "
            "trained nor saved; make it a submodule and give its path."
        )
    return module


def _module(model: nn.Module, where: str, path: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
    if path and path in modules:
        return modules[path]
    near = did_you_mean(path, modules) or f" There are: {', '.join(name for name, _ in model.named_children())}."
    raise AnchorError(f"{type(model).__name__} has no module {path!r}, named in {where}.{near}")

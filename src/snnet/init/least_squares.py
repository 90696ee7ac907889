"""Initialize stitching layers by least squares (https://arxiv.org/abs/2302.06586, equations 4 and 5)."""

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from snnet.errors import DataError, SpaceError
from snnet.init.images import count_images, image_batches
from snnet.init.normal_equations import NormalEquations, kaiming_solution
from snnet.init.plan import in_turn
from snnet.init.recalibration import has_batch_norm, recalibrate
from snnet.init.settings import CALIBRATION, RECALIBRATION, CalibrationSettings, Method
from snnet.init.sums import StreamingSums
from snnet.init.walk import plan_layers, walk_features
from snnet.layers import LowRankLinear
from snnet.network import SNNet
from snnet.space import LayerSpec
from snnet.utils import Show, counted, evaluating, html_grid, shows_progress


@dataclass(frozen=True, slots=True)
class LayerFit:
    """How well one stitching layer, as stored, maps the calibration images.

    Attributes:
        relative_residual: `||A W + c - B|| / ||B||` over all cuts of the layer; NaN if there were no images.
        rank: Rank of the centered front features, 0 if they were not solved for.
        tokens: Rows of `A`: the tokens of all images, once for every cut.
    """

    name: str
    relative_residual: float
    rank: int
    tokens: int


@dataclass(frozen=True, slots=True, repr=False)
class InitReport:
    """What `initialize` did."""

    method: str
    layers: tuple[LayerFit, ...]
    images: int
    seconds: float

    def __repr__(self) -> str:
        found = [layer.relative_residual for layer in self.layers if not math.isnan(layer.relative_residual)]
        ends = f", relative residual {min(found):.4f} to {max(found):.4f}" if found else ""
        return (
            f"InitReport({self.method}, {counted(len(self.layers), 'layer')} on {counted(self.images, 'image')}{ends})"
        )

    def _repr_html_(self) -> str:
        return html_grid(*self.grid(), left=("layer",), caption=repr(self))

    def grid(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and a row for each layer, as people read them."""
        rows = [[layer.name, f"{layer.relative_residual:.4f}", str(layer.rank)] for layer in self.layers]
        return ["layer", "relative residual", "rank"], rows

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a residual that was not measured is None."""
        data = asdict(self)
        for layer in data["layers"]:
            if math.isnan(layer["relative_residual"]):
                layer["relative_residual"] = None
        return data


@shows_progress("Initializing")
def initialize(
    net: SNNet,
    images: Tensor | Iterable[Any] | None,
    *,
    method: Method = CALIBRATION.method,
    ridge: float = CALIBRATION.ridge,
    max_images: int | None = None,
    recalibration_images: int = RECALIBRATION.images,
    batch_size: int = 10,
    device: torch.device | str | None = None,
    keep: Collection[str] = (),
    progress: Show = None,
) -> InitReport:
    """Set the stitching layers of a network, each jointly for all of its cuts, and measure batch norms behind them.

    Anchors run block by block, once per image, in evaluation mode without gradients; modes are restored afterwards.
    Memory grows with the square of the widths and with `batch_size`, not with the number of images. The layers
    change only once all is solved: an error leaves them as they were.

    Args:
        net: The network; its stitching layers are overwritten, and low-rank updates of them begin again. Statistics
            that `recalibrate` measured before go, those of anchors too: the layers are fitted to anchors that use
            their own.
        images: Normalized images `(N, C, H, W)`, or an iterable (a loader) of such tensors or of `(images, labels)`.
            None only with `kaiming`, whose residuals are then not measured.
        method: `least-squares`, or `kaiming` (random, for comparison).
        ridge: Weight decay of the least-squares maps, in units of the mean variance of a front channel.
        max_images: Fit on this many images at most.
        recalibration_images: Where there is batch norm behind a cut, measure its running statistics on this many of
            the images at most, as `recalibrate(net, images, anchors=False)` does; 0 leaves those of the anchors.
        batch_size: Images that run through the anchors together; larger batches are split.
        device: Where to run; the network is moved there and back.
        keep: Names of layers that stay as they are.
        progress: Called with (images done, images in all or 0, note), then with (layers done, layers, note); None
            shows a bar where someone watches, False nothing.

    Returns:
        The residual of each layer, `report.layers`, and how many images were used.

    Raises:
        DataError: If images are missing, of another size, not finite, too few for a variance, or come only once where
            batch norms are to be measured, too.
        SpaceError: If a setting is out of range.
        AnchorError: If the feature maps at a cut differ in size, or an anchor yields NaN or infinity.
    """
    start = time.perf_counter()
    CalibrationSettings(method=method, ridge=ridge)
    for name, value in (("max_images", max_images), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise SpaceError(f"{name} is {value}; it must be at least 1.")
    if images is None and method != "kaiming":
        raise DataError("Least squares needs calibration images; give a tensor or a loader, or method='kaiming'.")
    measures = images is not None and recalibration_images > 0 and has_batch_norm(net, anchors=False)
    turns = in_turn(spec for spec in net.layer_specs if spec.name not in keep)
    if isinstance(images, Iterator) and (measures or len(turns) > 1):
        what = "layers behind others" if len(turns) > 1 else "layers and measure batch norms, too"
        hint = "" if len(turns) > 1 else ", or recalibration_images=0"
        raise DataError(f"Images that come only once cannot fit {what}; give a tensor or a loader{hint}.")
    # Not inference_mode: a module may cache tensors that later training needs.
    with evaluating(net, device) as place, torch.no_grad():
        seen, fits = fit_in_turn(net, turns, images, place, max_images, batch_size, method, ridge, progress=progress)
    net.forget_scores()
    net.forget_statistics()
    if images is not None and measures:
        recalibrate(net, images, anchors=False, max_images=recalibration_images, device=device, progress=progress)
    return InitReport(method, fits, seen, time.perf_counter() - start)


def collect_equations(
    net: SNNet, images: Tensor | Iterable[Any], *, max_images: int | None = None, batch_size: int = 10
) -> dict[str, NormalEquations]:
    """Return the normal equations of every layer by name, to measure other maps against the same images."""
    with evaluating(net) as place, torch.no_grad():
        _, sums = sum_up(net, net.layer_specs, images, place, max_images, batch_size)
        return {layer.name: sums.equations(layer) for layer in net.layer_specs}


def fit_in_turn(
    net: SNNet,
    turns: Sequence[Sequence[LayerSpec]],
    images: Tensor | Iterable[Any] | None,
    device: torch.device,
    max_images: int | None,
    batch_size: int,
    method: Method = CALIBRATION.method,
    ridge: float = CALIBRATION.ridge,
    progress: Show = False,
) -> tuple[int, tuple[LayerFit, ...]]:
    """Fit groups of layers, each to what reaches it behind those before; an error leaves all as they were."""
    before = {name: value.clone() for name, value in net.layers.state_dict().items()} if len(turns) > 1 else {}
    seen, fits = 0, dict[str, LayerFit]()
    try:
        for layers in turns:
            sums = None
            if images is not None:
                seen, sums = sum_up(net, layers, images, device, max_images, batch_size, progress=progress)
            fits |= {fit.name: fit for fit in _fit_layers(net, layers, sums, method, ridge, progress)}
    except BaseException:
        if before:
            net.layers.load_state_dict(before)
        raise
    order = [layer.name for layer in net.layer_specs if layer.name in fits]
    return seen, tuple(fits[name] for name in order)


def sum_up(
    net: SNNet,
    layers: Sequence[LayerSpec],
    images: Tensor | Iterable[Any],
    device: torch.device,
    max_images: int | None,
    batch_size: int,
    *,
    progress: Show = False,
) -> tuple[int, StreamingSums]:
    """Run images through the anchors; return how many there were, and the sums behind the equations of some layers.

    Args:
        net: The network; it need not have the layers.
        layers: Which layers.
        images: As for `initialize`, as are those not named here.
        device: Where the network is.
        max_images: At most so many.
        batch_size: At once.
        progress: Called after each batch.
    """
    plan = plan_layers(net, layers)
    # Apple's GPUs have no float64; the sums then live on the CPU.
    sums = StreamingSums(plan, torch.device("cpu") if device.type == "mps" else device)
    dtype = next(net.parameters()).dtype
    total, done = count_images(images, max_images), 0
    for batch in image_batches(images, net.input.size, batch_size, max_images):
        sums.add(walk_features(net, plan.order, batch.to(device, dtype)))
        done += len(batch)
        if progress:
            progress(done, total, "calibration images")
    return done, sums


def _fit_layers(
    net: SNNet, layers: Sequence[LayerSpec], sums: StreamingSums | None, method: str, ridge: float, progress: Show
) -> tuple[LayerFit, ...]:
    """Solve some layers, then store them all; report what the stored maps give."""
    maps, fits, optimal = [], [], method == "least-squares" and ridge == 0
    for number, layer in enumerate(layers):
        linear, sides = net.layer_named(layer.name).transform, sums.equations(layer) if sums else None
        if method == "kaiming" or sides is None:
            solution = kaiming_solution(linear.in_features, linear.out_features)
        else:
            solution = sides.solve(ridge)
        stored = replace(solution, weight=solution.weight.to(linear.weight), bias=solution.bias.to(linear.bias))
        maps.append((linear, stored))
        residual = math.nan
        if sides is not None:
            residual = sides.relative_residual(stored.weight, stored.bias, solution.weight if optimal else None)
        fits.append(LayerFit(layer.name, residual, stored.rank, sides.rows if sides else 0))
        if progress:
            progress(number + 1, len(layers), "stitching layers solved")
    for linear, stored in maps:
        stored.store_in(linear)
        if isinstance(linear, LowRankLinear):
            linear.reset_update()
    return tuple(fits)

"""What a network runs: anchors, the layers that join them, a head over maps if there is one, and the routes."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from snnet.anchors import Anchor, BatchNorm
from snnet.errors import SpaceError
from snnet.layers import MapOf, StitchingLayer, set_lora_rank
from snnet.network.family import build_layers, check_family, check_space, usual_taps
from snnet.network.images import check_batch, fits
from snnet.network.statistics import RouteStatistics
from snnet.network.tree import Call, find_call, find_module, join_calls, run_calls
from snnet.space import (
    Cut,
    FeatureSpec,
    InputSpec,
    LayerSpec,
    MapSpec,
    Step,
    Stitch,
    StitchSpace,
    check_taps,
    map_specs,
    own_tap,
    route_prefixes,
    route_steps,
    route_taps,
    tap_layer,
    tap_layers,
)

StitchLike = int | str | Stitch
"""A stitch by its number, its id, or as a value."""
Route = tuple[tuple[Call, ...], tuple[Call, ...]]
"""What a stitch runs, step by step, and with neighbors joined."""


class Routing(nn.Module):
    """Anchors with the routes through them; `SNNet` is one with all that people do with it.

    Args:
        anchors: The family, from the cheapest anchor to the largest.
        space: The stitches, built on the depths of these anchors.
        resample: Whether stitching layers may join grids that differ by an integer factor, see `fit_positions`.
        norm_on_stitched: Whether a stitched route ends with its last anchor's final norm.
        lora_rank: Freeze the maps of the stitching layers and train low-rank updates of them, see `LowRankLinear`.
        taps: How many feature maps routes give; None for none.
        classifies: Whether routes end with their last anchor's head. If not, `set_head` must follow.

    Raises:
        AnchorError: If the anchors cannot be joined; the message names the two values that differ.
        SpaceError: If there are fewer maps than `taps`.
    """

    def __init__(
        self,
        anchors: Sequence[Anchor],
        space: StitchSpace,
        *,
        resample: bool = False,
        norm_on_stitched: bool = True,
        lora_rank: int | None = None,
        taps: int | None = None,
        classifies: bool = True,
    ) -> None:
        super().__init__()
        check_family(anchors, classifies=classifies)
        check_space(anchors, space)
        self.space, self.resample, self.norm_on_stitched = space, resample, norm_on_stitched
        self.lora_rank, self.taps = lora_rank, taps
        self.anchors = nn.ModuleList(anchor.taking_images_of(anchors[0].input) for anchor in anchors)
        self.layers = build_layers(anchors, self.layer_specs, resample=resample, lora_rank=lora_rank)
        self.statistics = RouteStatistics()
        self.maps = nn.ModuleDict() if taps is None else self._built_maps(taps)
        self._active = space[0]
        self._size = torch.Size(self.input.size)
        self._calls: dict[Step, Call] = {}
        self._routes: dict[StitchLike, Route] = {}

    def forward(self, images: Tensor, stitch: StitchLike | None = None) -> Tensor:
        """Run one stitch: images `(B, C, H, W)` to logits `(B, classes)`, or to what the head over maps gives.

        Args:
            images: Normalized as `net.input` says. Where all anchors take any height and width (`Anchor.any_size`), so
                does the network.
            stitch: Number, id or value; `net.active` if None.

        Raises:
            DataError: If they have another shape, device or type of number than the network takes.
            SpaceError: If the space has no such stitch.
        """
        statistics: Any = self._modules["statistics"]  # by the attribute it takes three times as long
        if not fits(images, self._size, statistics.home):
            check_batch(images, self)
        calls, joined = self._route(self._active if stitch is None else stitch)
        return run_calls(self, calls if self.training or len(statistics) else joined, images, statistics)

    def features(self, images: Tensor, stitch: StitchLike | None = None, *, taps: int | None = None) -> list[Tensor]:
        """Return feature maps of one stitch, `(B, C, H, W)` each, at the same relative depths whatever the stitch.

        Anchors with stages give the maps of their last stages, others maps after `1/taps`, `2/taps`, ... of their
        depth, before their final norm, without class tokens. All have the widths of the largest anchor: other maps go
        through a layer that `snnet.initialize` fits to it, see `set_taps`.

        Args:
            images: As for `forward`.
            stitch: Number, id or value; `net.active` if None.
            taps: How many maps; `net.taps` if None, and where that is None too, those of the last four sizes.

        Raises:
            SpaceError: If there are no layers for other than the largest anchor's own maps, or not so many maps.
        """
        check_batch(images, self)
        route = self.space.find(self._active if stitch is None else stitch)
        asked = taps or self.taps or usual_taps(self.family[-1])
        check_taps(self.space.depths, asked)
        steps = [step for step in self._unfolded(route, asked) if step.kind != "decode"]
        last = max(place for place, step in enumerate(steps) if step.kind == "tap")
        places = self.maps if asked == self.taps else self._built_maps(asked)
        found: list[Tensor] = []
        features = images
        for step, prefix in zip(steps[: last + 1], route_prefixes(steps), strict=False):
            if step.kind == "tap":
                mapped = self.layer_named(step.layer)(features) if step.layer else features
                found.append(places[str(step.index)](mapped))
            else:
                features = self.run_step(step, features, prefix)
        return found

    @property
    def active(self) -> Stitch:
        """The stitch that `net(x)` runs: nothing but a default. Set it to a number, an id or a stitch."""
        return self._active

    @active.setter
    def active(self, stitch: StitchLike) -> None:
        self._active = self.space.find(stitch)

    @property
    def input(self) -> InputSpec:
        """Size and normalization of the images: the first anchor's. The others correct them before their stems."""
        return self.anchor(0).input

    @property
    def map_specs(self) -> tuple[MapSpec, ...]:
        """What the maps are that routes give: `net.taps` of them, as wide as the largest anchor's."""
        taps, largest = self.taps or 0, self.family[-1]
        every = map_specs(self.input.size[1:], [largest.feature(block) for block in range(-1, largest.depth)])
        return tuple(every[own_tap(self.space.depths, taps, number) + 1] for number in range(taps))

    @property
    def has_head(self) -> bool:
        """Whether routes end with a head over feature maps, in place of their last anchor's head."""
        return "head" in self._modules

    @property
    def layer_specs(self) -> tuple[LayerSpec, ...]:
        """All stitching layers: those of the space, and those that maps go through."""
        more = () if self.taps is None else tap_layers(self.space.stitches, self.space.depths, self.taps)
        return (*self.space.layers, *more)

    def anchor(self, number: int) -> Anchor:
        """Return one anchor, typed."""
        anchor = self.anchors._modules[str(number)]  # indexing a ModuleList takes as long as a small step
        assert isinstance(anchor, Anchor)
        return anchor

    @property
    def family(self) -> list[Anchor]:
        """All anchors in order, typed."""
        return [self.anchor(number) for number in range(len(self.anchors))]

    def find(self, stitch: StitchLike) -> Stitch:
        """Return a stitch of the space by its number, its id or as a value.

        Raises:
            SpaceError: If the space has no such stitch.
        """
        return self.space.find(stitch)

    def steps(self, stitch: StitchLike) -> tuple[Step, ...]:
        """Return what a stitch runs, in order; costs, export and forward are folds over it."""
        return tuple(step for step, *_ in self._route(stitch)[0])

    def prefixes(self, stitch: StitchLike) -> tuple[str, ...]:
        """Return the name of a stitch's beginning up to each of its steps, see `route_prefixes`."""
        return tuple(prefix for *_, prefix in self._route(stitch)[0])

    def run_step(self, step: Step, features: Tensor | Sequence[Tensor], prefix: str = "") -> Tensor:
        """Run one step, with the statistics measured for the beginning `prefix` of a route that it ends, if any.

        Args:
            step: One step of a route.
            features: What it receives; maps, if it is a head over these.
            prefix: Id of the beginning of a route that the step ends.
        """
        return run_calls(self, [self._call(step, prefix)], features, self.statistics)

    def _route(self, stitch: StitchLike) -> Route:
        """Return what a stitch runs, step by step, and with neighbors joined."""
        # By what was given: to look a stitch up in the space takes longer than a small step.
        found = self._routes.get(stitch)
        if found is None:
            steps = self._unfolded(self.space.find(stitch), self.taps if self.has_head else None)
            calls = tuple(map(self._call, steps, route_prefixes(steps)))
            found = self._routes[stitch] = calls, join_calls(calls)
        return found

    def _unfolded(self, route: Stitch, taps: int | None) -> tuple[Step, ...]:
        depths = self.space.depths
        maps = []
        if taps is not None:
            for place, tap in route_taps(route, depths, taps):
                maps.append((place, Step("tap", tap.anchor, tap.number, tap_layer(tap, depths, taps) or "")))
        final_norm = self.norm_on_stitched
        return route_steps(route, lambda *hop: self.space.layer_of(*hop).name, final_norm=final_norm, maps=maps)

    def _built_maps(self, taps: int) -> nn.ModuleDict:
        """Return what makes a map of the largest anchor's features at each tap."""
        check_taps(self.space.depths, taps)
        return nn.ModuleDict({str(number): MapOf(self.own_map(number, taps)) for number in range(taps)})

    def own_map(self, number: int, taps: int | None = None) -> FeatureSpec:
        """Return the features of the largest anchor that a map is taken of; `taps` is `net.taps` if None."""
        return self.family[-1].feature(own_tap(self.space.depths, taps or self.taps or 1, number))

    def _call(self, step: Step, prefix: str) -> Call:
        if step not in self._calls:
            self._calls[step] = find_call(self, step)
        return (*self._calls[step][:3], prefix)

    def step_parameters(self, step: Step) -> list[nn.Parameter]:
        """Return the parameters that one step uses."""
        if step.kind == "decode":
            return list(self.head.parameters())
        if step.kind in ("stitch", "tap"):
            return list(self.layers[step.layer].parameters()) if step.layer else []
        return self.anchor(step.anchor).step_parameters(step)

    def step_norms(self, step: Step) -> list[BatchNorm]:
        """Return the batch norms with running statistics that belong to one step, in the order of its modules."""
        return self.statistics.norms_of(step, find_module(self, self._call(step, "")[1]))

    def parameters_of(self, stitch: StitchLike) -> list[nn.Parameter]:
        """Return every parameter that a stitch uses, once, in the order of the route."""
        found = (p for step in self.steps(stitch) for p in self.step_parameters(step))
        return list({id(parameter): parameter for parameter in found}.values())

    def layer(self, cut: Cut) -> StitchingLayer:
        """Return the stitching layer that serves a cut, whatever comes before it."""
        return self.layer_named(self.space.layer_of(cut).name)

    def layer_named(self, name: str) -> StitchingLayer:
        """Return one stitching layer, typed.

        Raises:
            SpaceError: If there is none, as for maps of another number than `net.taps`.
        """
        if name not in self.layers:
            raise SpaceError(
                f"The network has no layer {name}, through which a map of a smaller anchor goes; make them with "
                "net.set_taps(N), and fit them: snnet.initialize(net, images)."
            )
        layer = self.layers[name]
        assert isinstance(layer, StitchingLayer)
        return layer

    def _attach(self, head: nn.Module) -> None:
        """End routes with a head over their maps."""
        self.head = head.to(self.statistics.home).train(self.training)
        self.forget_statistics()
        self._calls.clear()
        self._routes.clear()

    def set_space(self, space: StitchSpace) -> Self:
        """Take other stitches through the same anchors; layers that the spaces share stay, statistics go.

        Raises:
            AnchorError: If the space is of other anchors.
            SpaceError: If it has no stitch.
        """
        check_space(self.family, space)
        self._rebuild(space, self.taps)
        self._active = space[0]
        return self

    def set_taps(self, taps: int | None) -> Self:
        """Have layers for feature maps of all routes, as `features` gives them; fit them with `snnet.initialize`.

        Args:
            taps: How many maps; None drops the layers.

        Raises:
            SpaceError: If there are not so many, or the head takes another number of maps.
        """
        if taps is not None:
            check_taps(self.space.depths, taps)
        if self.has_head and taps != self.taps:
            raise SpaceError(f"The head takes {self.taps} maps, and taps={taps} are asked for; leave them as they are.")
        self._rebuild(self.space, taps)
        return self

    def _rebuild(self, space: StitchSpace, taps: int | None) -> None:
        kept = {spec: self.layer_named(spec.name) for spec in self.layer_specs}
        before, self.space, self.taps = (self.space, self.taps), space, taps
        try:
            layers = build_layers(
                self.family, self.layer_specs, resample=self.resample, lora_rank=self.lora_rank, kept=kept
            )
        except BaseException:
            self.space, self.taps = before
            raise
        self.layers = layers.to(self.statistics.home)
        self.maps = nn.ModuleDict() if taps is None else self._built_maps(taps)
        self.forget_statistics()
        self._calls.clear()
        self._routes.clear()

    def forget_statistics(self) -> None:
        """Drop running statistics that were measured on other weights."""
        self.statistics.clear()

    def set_lora_rank(self, rank: int | None) -> Self:
        """Merge low-rank updates into the maps of the stitching layers, and begin others of this rank.

        Args:
            rank: None leaves plain layers, which compute the same at less cost: merge before saving for inference.

        Returns:
            This network.

        Raises:
            AnchorError: If a layer has fewer channels than that.
        """
        set_lora_rank([self.layer_named(name) for name in self.layers], rank)
        self.lora_rank = rank
        return self

"""The stitchable network: anchors, stitching layers, and the space of routes through them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin
from numpy.typing import NDArray
from torch import Tensor, nn

from snnet.anchors import Anchor, BatchNorm
from snnet.data import CleanTransform, Picture, Pixels
from snnet.errors import BudgetError
from snnet.layers import StitchingLayer, set_lora_rank
from snnet.network.answers import Prediction, predict_images
from snnet.network.card import model_card, summary
from snnet.network.extract import StitchModule
from snnet.network.family import build_layers, check_family, check_space
from snnet.network.hub import push_to_hub
from snnet.network.images import check_batch, fits
from snnet.network.restore import read_network
from snnet.network.statistics import RouteStatistics
from snnet.network.storage import SETTINGS, describe, save_network
from snnet.network.tree import Call, find_call, find_module, join_calls, run_calls
from snnet.space import Cut, InputSpec, Step, Stitch, StitchSpace, route_prefixes, route_steps
from snnet.table import SCORE, StitchTable, select, without_scores
from snnet.utils import evaluating, precision_of

StitchLike = int | str | Stitch
"""A stitch by its number, its id, or as a value."""


class SNNet(nn.Module, PyTorchModelHubMixin):
    """Several pretrained models as one network with many routes.

    Routing keeps no state: `net(x, stitch)` runs that stitch, in as many threads at once as there are. Where
    `snnet.recalibrate` has measured running statistics of a route (`net.statistics`), its batch norms use them in
    evaluation mode in place of those that their anchor came with.

    Args:
        anchors: The family, from the cheapest anchor to the largest.
        space: The stitches, built on the depths of these anchors.
        resample: Whether stitching layers may join grids that differ by an integer factor, see `fit_positions`.
        norm_on_stitched: Whether a stitched route ends with its last anchor's final norm. The published DeiT networks
            were trained without; leave it alone otherwise.
        lora_rank: Freeze the maps of the stitching layers and train low-rank updates of them, see `LowRankLinear`.

    Attributes:
        classes: Names of the classes in the order of the logits; None until data that names them trains the network.

    Raises:
        AnchorError: If the anchors cannot be joined; the message names the two values that differ.
    """

    def __init__(
        self,
        anchors: Sequence[Anchor],
        space: StitchSpace,
        *,
        resample: bool = False,
        norm_on_stitched: bool = True,
        lora_rank: int | None = None,
    ) -> None:
        super().__init__()
        check_family(anchors)
        check_space(anchors, space)
        self.anchors = nn.ModuleList(anchor.taking_images_of(anchors[0].input) for anchor in anchors)
        self.layers = build_layers(anchors, space, resample=resample, lora_rank=lora_rank)
        self.statistics = RouteStatistics()
        self.space = space
        self.resample = resample
        self.norm_on_stitched = norm_on_stitched
        self.lora_rank = lora_rank
        self.table: StitchTable | None = None
        self.classes: tuple[str, ...] | None = None
        self._active = space[0]
        self._size = torch.Size(self.input.size)
        self._calls: dict[Step, Call] = {}
        self._routes: dict[StitchLike, tuple[tuple[Call, ...], tuple[Call, ...]]] = {}

    def forward(self, images: Tensor, stitch: StitchLike | None = None) -> Tensor:
        """Run one stitch: images `(B, C, H, W)` to logits `(B, classes)`.

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
    def num_classes(self) -> int:
        """Width of the logits."""
        return self.anchor(0).num_classes

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

    def at(self, stitch: StitchLike) -> StitchModule:
        """Return a module that runs one stitch and shares this network's weights."""
        route = self.space.find(stitch)
        self._route(route)  # now, and not while a compiler traces the forward pass
        return StitchModule(self, route)

    def steps(self, stitch: StitchLike) -> tuple[Step, ...]:
        """Return what a stitch runs, in order; costs, export and forward are folds over it."""
        return tuple(step for step, *_ in self._route(stitch)[0])

    def prefixes(self, stitch: StitchLike) -> tuple[str, ...]:
        """Return the name of a stitch's beginning up to each of its steps, see `route_prefixes`."""
        return tuple(prefix for *_, prefix in self._route(stitch)[0])

    def run_step(self, step: Step, features: Tensor, prefix: str = "") -> Tensor:
        """Run one step, with the statistics measured for the beginning `prefix` of a route that it ends, if any.

        Args:
            step: One step of a route.
            features: What it receives.
            prefix: Id of the beginning of a route that the step ends.
        """
        return run_calls(self, [self._call(step, prefix)], features, self.statistics)

    def _route(self, stitch: StitchLike) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
        """Return what a stitch runs, step by step, and with neighbors joined."""
        # By what was given: to look a stitch up in the space takes longer than a small step.
        found = self._routes.get(stitch)
        if found is None:
            route, final_norm = self.space.find(stitch), self.norm_on_stitched
            steps = route_steps(route, lambda *hop: self.space.layer_of(*hop).name, final_norm=final_norm)
            calls = tuple(map(self._call, steps, route_prefixes(steps)))
            found = self._routes[stitch] = calls, join_calls(calls)
        return found

    def _call(self, step: Step, prefix: str) -> Call:
        if step not in self._calls:
            self._calls[step] = find_call(self, step)
        return (*self._calls[step][:3], prefix)

    def step_parameters(self, step: Step) -> list[nn.Parameter]:
        """Return the parameters that one step uses."""
        if step.kind == "stitch":
            return list(self.layers[step.layer].parameters())
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
        """Return one stitching layer, typed."""
        layer = self.layers[name]
        assert isinstance(layer, StitchingLayer)
        return layer

    def set_space(self, space: StitchSpace) -> Self:
        """Take other stitches through the same anchors; layers that the spaces share stay, table and statistics go.

        Raises:
            AnchorError: If the space is of other anchors.
            SpaceError: If it has no stitch.
        """
        check_space(self.family, space)
        kept = {spec: self.layer_named(spec.name) for spec in self.space.layers}
        layers = build_layers(self.family, space, resample=self.resample, lora_rank=self.lora_rank, kept=kept)
        self.layers = layers.to(self.statistics.home)
        self.forget_statistics()
        self.space, self.table, self._active = space, None, space[0]
        self._calls.clear()
        self._routes.clear()
        return self

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

    def select(
        self, *, prefer: str = SCORE, batch: int | None = None, any_machine: bool = False, **limits: float
    ) -> Stitch:
        """Return the best stitch within every limit, by the numbers in `net.table`; see `snnet.select`.

        Args:
            prefer: Column to be best in.
            batch: Batch size of what was measured per batch; 1 if None.
            any_machine: Take measurements whatever machine and precision they are of.
            limits: Column = limit, as `macs=3e9`.

        Raises:
            BudgetError: If nothing fits, or the table lacks a column.
            TableError: If a limit is on what was measured on another machine, or in another precision.
        """
        if self.table is None:
            raise BudgetError(
                "This network has no table to choose from; snnet.profile(net) measures costs and "
                "snnet.evaluate(net, data) scores."
            )
        own = precision_of(self.dtype)
        return select(self.table, prefer=prefer, batch=batch, precision=own, any_machine=any_machine, **limits)

    @property
    def transform(self) -> CleanTransform:
        """From a picture or the path of one to the normalized tensor `(C, H, W)`, as in evaluation."""
        return CleanTransform(self.input)

    def predict(
        self, images: Picture | Tensor | Iterable[Picture | Tensor], stitch: StitchLike | None = None, **budget: Any
    ) -> Prediction | list[Prediction]:
        """Return what a stitch sees in pictures, paths or normalized tensors; see `predict_images`.

        Args:
            images: Path or image of Pillow, or a tensor that is normalized already; a list gives a list.
            stitch: Number, id or value of the stitch that answers.
            budget: Limits as in `select`, to choose the stitch by.

        Example:
            >>> net.predict("photo.jpg", macs=12e6).label  # doctest: +SKIP
            'Ankle boot'
        """

        def run(pixels: Pixels, route: Stitch) -> NDArray[Any]:
            with evaluating(self) as device, torch.inference_mode():
                batch = torch.from_numpy(pixels).to(device, self.dtype)
                logits: NDArray[Any] = self(batch, route).float().cpu().numpy()
            return logits

        return predict_images(self, images, stitch, budget, stitches=self.space, run=run)

    def forget_scores(self) -> None:
        """Drop from the table what was measured on other weights; costs and latencies stay."""
        if self.table is not None:
            self.table = without_scores(self.table)

    def forget_statistics(self) -> None:
        """Drop running statistics that `snnet.recalibrate` measured on other weights; scores that used them go too."""
        if len(self.statistics):
            self.forget_scores()
        self.statistics.clear()

    def save_pretrained(
        self, save_directory: str | Path, *, push_to_hub: bool = False, repo_id: str | None = None, **hub: Any
    ) -> str | None:
        """Write weights, `config.json`, the table and a model card; what stood there before survives any failure.

        Args:
            save_directory: Made if it does not exist.
            push_to_hub: Upload it too, and return the URL of the commit.
            repo_id: Where to; the name of the directory if None.
            hub: Further keywords of `push_to_hub`.

        Raises:
            CheckpointError: If the files cannot be written, or the hub refuses.
        """
        save_network(self, save_directory)
        return self.push_to_hub(repo_id or Path(save_directory).name, **hub) if push_to_hub else None

    push_to_hub = push_to_hub  # type: ignore[assignment]
    generate_model_card = model_card

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """Read a network that `save_pretrained` wrote, from a directory or a hub id; `snnet.load` has the options.

        Args:
            pretrained_model_name_or_path: Directory, or `ORG/NAME` on the hub.
            options: `models`, `map_location`, and the hub's own: `revision`, `token`, `cache_dir`.
        """
        return read_network(cls, pretrained_model_name_or_path, **options)

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given besides anchors and space, and differs from None."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def config(self) -> dict[str, Any]:
        """What `config.json` of the saved network says."""
        return describe(self)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' type of number."""
        return next(self.parameters()).dtype

    def __repr__(self) -> str:
        return summary(self)

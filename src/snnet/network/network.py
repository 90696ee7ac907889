"""The stitchable network: anchors, stitching layers, and the space of routes through them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors import SafetensorError
from torch import Tensor, device, nn

from snnet.anchors import Anchor, AnchorLike, BatchNorm, batch_norms
from snnet.data import CleanTransform, Picture, clean_transform
from snnet.errors import AnchorError, BudgetError, CheckpointError, SpaceError
from snnet.layers import StitchingLayer, check_rank
from snnet.network.answers import Prediction, predict_images
from snnet.network.card import AnchorFacts, is_generated, model_card
from snnet.network.dispatch import Plan, Run, run_plan, runs_of
from snnet.network.family import build_stitching_layer, check_family
from snnet.network.running import runner
from snnet.network.statistics import RouteStatistics, UsingStatistics, statistics_size
from snnet.network.stitch_module import StitchModule
from snnet.network.storage import (
    CARD,
    CONFIG,
    TABLE,
    WEIGHTS,
    anchors_of,
    find_directory,
    load_weights,
    move_into_place,
    read_config,
    read_space,
    uploading,
    write_config,
    write_weights,
)
from snnet.space import Cut, InputSpec, Step, Stitch, StitchSpace, route_prefixes, route_steps
from snnet.table import SCORE, StitchTable, select, without_scores

_SETTINGS = ("resample", "norm_on_stitched", "lora_rank")
StitchLike = int | str | Stitch
"""A stitch by its number, its id, or as a value."""


class SNNet(nn.Module, PyTorchModelHubMixin):
    """Several pretrained models as one network with many routes.

    Routing keeps no state: `net(x, stitch)` runs that stitch, in as many threads at once as there are. Where
    `snnet.recalibrate` has measured running statistics of a route (`net.statistics`), its batch norms use them in
    evaluation mode in place of those that their anchor came with.

    Args:
        anchors: The family, from the cheapest anchor to the dearest.
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
        if not len(space):
            raise SpaceError("The space has no stitches; loosen the filter that made it.")
        if [anchor.depths for anchor in anchors] != list(space.depths):
            raise AnchorError(
                f"The space is for depths {list(space.depths)} and the anchors have "
                f"{[anchor.depths for anchor in anchors]}; build the space from the anchors."
            )
        self.anchors = nn.ModuleList(anchor.taking_images_of(anchors[0].input) for anchor in anchors)
        self.layers = nn.ModuleDict()
        for spec in space.layers:
            self.layers[spec.name] = build_stitching_layer(anchors, spec, resample=resample, lora_rank=lora_rank)
        self.statistics = RouteStatistics()
        self.space = space
        self.resample = resample
        self.norm_on_stitched = norm_on_stitched
        self.lora_rank = lora_rank
        self.table: StitchTable | None = None
        self.classes: tuple[str, ...] | None = None
        self._active = space[0]
        self._steps: dict[Stitch, tuple[Step, ...]] = {}
        self._prefixes: dict[Stitch, tuple[str, ...]] = {}
        self._plans: dict[object, Plan] = {}

    def forward(self, images: Tensor, stitch: StitchLike | None = None) -> Tensor:
        """Run one stitch: images `(B, C, H, W)` to logits `(B, classes)`.

        Args:
            images: Normalized as `net.input` says.
            stitch: Number, id or value; `net.active` if None.

        Raises:
            SpaceError: If the space has no such stitch.
        """
        chosen = self._active if stitch is None else stitch
        # In training blocks may do more, such as to run again in the backward pass.
        if not (self.training or len(self.statistics)):
            return run_plan(self, self._plan(chosen).runs, images)
        features = images
        for step, prefix in self._plan(chosen).steps:
            features = self.run_step(step, prefix, features)
        return features

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
        return StitchModule(self, self.space.find(stitch))

    def steps(self, stitch: StitchLike) -> tuple[Step, ...]:
        """Return what a stitch runs, in order; costs, export and forward are folds over it."""
        route = self.space.find(stitch)
        if route not in self._steps:
            self._steps[route] = route_steps(route, self._layer_at, final_norm=self.norm_on_stitched)
        return self._steps[route]

    def prefixes(self, stitch: StitchLike) -> tuple[str, ...]:
        """Return the name of a stitch's beginning up to each of its steps, see `route_prefixes`."""
        route = self.space.find(stitch)
        if route not in self._prefixes:
            self._prefixes[route] = route_prefixes(self.steps(route))
        return self._prefixes[route]

    def _plan(self, stitch: StitchLike) -> Plan:
        # By what was given: to look a stitch up in the space takes longer than a small step.
        plan = self._plans.get(stitch)
        if plan is None:
            names = {module: name for name, module in self.named_modules()}
            steps, prefixes = self.steps(stitch), self.prefixes(stitch)
            runs = runs_of(names, [(self.step_chain(step), self._step_call(step)) for step in steps])
            plan = self._plans[stitch] = Plan(tuple(zip(steps, prefixes, strict=True)), runs)
        return plan

    def _step_call(self, step: Step) -> Run:
        if step.kind == "stitch":
            return Run(("layers",), (step.layer,))
        return Run(("anchors", str(step.anchor)), method=self.anchor(step.anchor).step_method(step))

    def run_step(self, step: Step, prefix: str, features: Tensor) -> Tensor:
        """Run the step that ends the beginning `prefix` of a route, with the statistics measured there, if any."""
        values = self.statistics.get(prefix)
        if values is None:
            return self.apply_step(step, features)
        with UsingStatistics(self.step_norms(step), values):
            return self.apply_step(step, features)

    def apply_step(self, step: Step, features: Tensor) -> Tensor:
        """Run one step as its modules are, whatever comes before it."""
        if step.kind == "stitch":
            mapped: Tensor = self.layers[step.layer](features)
            return mapped
        return self.anchor(step.anchor).run_step(step, features)

    def step_chain(self, step: Step) -> tuple[nn.Module, ...] | None:
        """Return the modules that a step runs one after another outside training; None if there is more to it."""
        if step.kind == "stitch":
            return (self.layers[step.layer],)
        anchor = self.anchor(step.anchor)
        if step.kind == "block":
            return anchor.block_chain(step.index)
        return anchor.stem_chain() if step.kind == "stem" else None

    def step_parameters(self, step: Step) -> list[nn.Parameter]:
        """Return the parameters that one step uses."""
        if step.kind == "stitch":
            return list(self.layers[step.layer].parameters())
        return self.anchor(step.anchor).step_parameters(step)

    def step_norms(self, step: Step) -> list[BatchNorm]:
        """Return the batch norms with running statistics that belong to one step, in the order of its modules."""
        known = self.statistics.norms
        if step not in known:
            anchor = self.anchor(step.anchor)
            known[step] = batch_norms([self.layers[step.layer]]) if step.kind == "stitch" else anchor.step_norms(step)
        return known[step]

    def _layer_at(self, cut: Cut) -> str:
        return self.space.layer_of(cut).name

    def parameters_of(self, stitch: StitchLike) -> list[nn.Parameter]:
        """Return every parameter that a stitch uses, once, in the order of the route."""
        found = (p for step in self.steps(stitch) for p in self.step_parameters(step))
        return list({id(parameter): parameter for parameter in found}.values())

    def layer(self, cut: Cut) -> StitchingLayer:
        """Return the stitching layer that serves a cut."""
        return self.layer_named(self._layer_at(cut))

    def layer_named(self, name: str) -> StitchingLayer:
        """Return one stitching layer, typed."""
        layer = self.layers[name]
        assert isinstance(layer, StitchingLayer)
        return layer

    def set_lora_rank(self, rank: int | None) -> Self:
        """Merge low-rank updates into the maps of the stitching layers, and begin others of this rank.

        Args:
            rank: None leaves plain layers, which compute the same at less cost: merge before saving for inference.

        Returns:
            This network.

        Raises:
            AnchorError: If a layer has fewer channels than that.
        """
        layers = [layer for layer in self.layers.values() if isinstance(layer, StitchingLayer)]
        if rank is not None:
            # All before any: an error leaves the network as it was.
            for layer in layers:
                check_rank(layer.transform, rank)
        for layer in layers:
            layer.set_lora_rank(rank)
        self.lora_rank = rank
        return self

    def select(
        self, *, prefer: str = SCORE, batch: int | None = None, any_machine: bool = False, **limits: float
    ) -> Stitch:
        """Return the best stitch within every limit, by the numbers in `net.table`; see `snnet.select`.

        Raises:
            BudgetError: If nothing fits, or the table lacks a column.
            TableError: If a limit is on what was measured on another machine, or in another type of number.
        """
        if self.table is None:
            raise BudgetError(
                "This network has no table to choose from; snnet.profile(net) measures costs and "
                "snnet.evaluate(net, data) scores."
            )
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        return select(self.table, prefer=prefer, batch=batch, dtype=dtype, any_machine=any_machine, **limits)

    @property
    def transform(self) -> CleanTransform:
        """From a picture or the path of one to the normalized tensor `(C, H, W)`, as in evaluation."""
        return clean_transform(self.input)

    def predict(
        self, images: Picture | Tensor | Iterable[Picture | Tensor], stitch: StitchLike | None = None, **budget: Any
    ) -> Prediction | list[Prediction]:
        """Return what a stitch sees in pictures, paths or normalized tensors; see `predict_images`.

        Example:
            >>> net.predict("photo.jpg", macs=12e6).label  # doctest: +SKIP
            'Ankle boot'
        """
        return predict_images(self, images, stitch, budget, stitches=self.space, run=runner(self))

    def forget_scores(self) -> None:
        """Drop from the table what was measured on other weights; costs and latencies stay."""
        if self.table is not None:
            self.table = without_scores(self.table)

    def forget_statistics(self) -> None:
        """Drop running statistics that `snnet.recalibrate` measured on other weights; scores that used them go too."""
        if len(self.statistics):
            self.forget_scores()
        self.statistics.clear()

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write weights, `config.json`, the table and a model card; what stood there before survives any failure.

        Args:
            save_directory: Made if it does not exist.
            options: The hub's own: `push_to_hub`, `repo_id`, `model_card_kwargs`, `push_to_hub_kwargs`.

        Raises:
            CheckpointError: If the files cannot be written.
        """
        target = Path(save_directory)
        push, kept = options.pop("push_to_hub", False), options.pop("push_to_hub_kwargs", None) or {}
        repo_id = options.pop("repo_id", None) or target.name
        try:
            target.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=target, prefix=".saving-") as staged:
                super().save_pretrained(staged, **options)
                move_into_place(Path(staged), target, keep=() if is_generated(target / CARD) else (CARD,))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"The network cannot be saved in {target} ({error}); what was there before is untouched."
            ) from error
        return self.push_to_hub(repo_id, **kept) if push else None

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload what `save_pretrained` writes; `snnet.push_to_hub` adds the picture of the curve and the recipe.

        Args:
            repo_id: `ORG/NAME`; made if it does not exist.
            options: The hub's own: `private`, `token`, `commit_message`, ...

        Raises:
            CheckpointError: If the hub refuses.
        """
        card = {"repo_id": repo_id, **(options.pop("model_card_kwargs", None) or {})}
        with uploading(repo_id):
            return str(super().push_to_hub(repo_id, model_card_kwargs=card, **options))

    def generate_model_card(
        self, *, repo_id: str | None = None, recipe: str | None = None, picture: str | None = None
    ) -> ModelCard:
        """Return the card that `save_pretrained` writes; see `model_card` for the arguments."""
        return model_card(
            [AnchorFacts(anchor.name, anchor.depths, anchor.license) for anchor in self.family],
            self.space,
            self.input,
            table=self.table,
            settings=self.settings,
            classes=self.classes,
            repo_id=repo_id,
            recipe=recipe,
            picture=picture,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given besides anchors and space, and differs from None."""
        values = {name: getattr(self, name) for name in _SETTINGS}
        return {name: value for name, value in values.items() if value is not None}

    def _save_pretrained(self, save_directory: Path) -> None:
        settings = {"classes": self.classes, **self.settings}
        write_config(save_directory / CONFIG, self.family, self.space.to_config(), settings)
        if self.table is not None:
            self.table.save(save_directory / TABLE)
        write_weights(self, save_directory / WEIGHTS)

    def _statistics_sizes(self) -> dict[str, int]:
        """Return how many numbers the running statistics of each beginning of a route are."""
        steps = {p: step for s in self.space for p, step in zip(self.prefixes(s), self.steps(s), strict=True)}
        return {prefix: statistics_size(self.step_norms(step)) for prefix, step in steps.items()}

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        map_location: device | str = "cpu",
        strict: bool = True,
        models: Sequence[AnchorLike] | None = None,
        **options: Any,
    ) -> Self:
        """Read a network that `save_pretrained` wrote, from a directory or a hub id; see `snnet.load`.

        Raises:
            CheckpointError: If there is no such network, or one of its files is damaged.
        """
        directory = find_directory(pretrained_model_name_or_path, **options)
        config = read_config(directory / CONFIG)
        settings = {name: config[name] for name in _SETTINGS if name in config}
        space = read_space(directory / CONFIG, config["space"])
        with anchors_of(directory, config["anchors"], space, models) as anchors:
            net = cls(anchors, space, **settings)
            load_weights(net, directory / WEIGHTS, device=str(map_location), strict=strict)
        if len(net.statistics):
            net.statistics.check_sizes(net._statistics_sizes(), directory / WEIGHTS)
        net.classes = tuple(config["classes"]) if config.get("classes") else None
        if (directory / TABLE).is_file():
            net.table = StitchTable.load(directory / TABLE)
        # Buffers that are not in the file (window masks, normalizations) are still where they were made.
        return net.to(map_location).eval()

"""The stitchable network: anchors, stitching layers, and the space of routes through them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin
from numpy.typing import NDArray
from torch import Tensor

from snnet.anchors import Anchor
from snnet.data import CleanTransform, Picture, Pixels
from snnet.errors import BudgetError
from snnet.heads import HeadLike
from snnet.network.answers import Predicted, predict_images
from snnet.network.card import model_card, summary
from snnet.network.extract import StitchModule
from snnet.network.family import usual_taps
from snnet.network.head_source import HeadSource
from snnet.network.hub import push_to_hub
from snnet.network.restore import read_network
from snnet.network.routing import Routing, StitchLike
from snnet.network.storage import describe, save_network, settings_of
from snnet.space import Stitch, StitchSpace
from snnet.table import StitchTable, select, without_scores
from snnet.tasks import Classification, Task, build_task
from snnet.utils import evaluating, precision_of


class SNNet(Routing, PyTorchModelHubMixin):
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
        taps: How many feature maps routes give, see `features`; None for none.
        head: A head over these maps, with which all routes end, see `set_head`.
        task: What the network is for; one class for each image if None.

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
        taps: int | None = None,
        head: HeadSource | None = None,
        task: Task | None = None,
    ) -> None:
        how: dict[str, Any] = {"resample": resample, "norm_on_stitched": norm_on_stitched, "lora_rank": lora_rank}
        super().__init__(anchors, space, **how, taps=taps, classifies=head is None)
        self.table: StitchTable | None = None
        self.classes: tuple[str, ...] | None = None
        self.task = task or Classification()
        self.head_source: HeadSource | None = None
        if head is not None:
            self.set_head(head, head.outputs, task=self.task, taps=taps)

    @property
    def num_classes(self) -> int:
        """Width of the outputs: of the logits, or of what a head over maps gives."""
        return self.anchor(0).num_classes if self.head_source is None else self.head_source.outputs

    def at(self, stitch: StitchLike) -> StitchModule:
        """Return a module that runs one stitch and shares this network's weights."""
        route = self.space.find(stitch)
        self._route(route)  # now, and not while a compiler traces the forward pass
        return StitchModule(self, route)

    def set_space(self, space: StitchSpace) -> Self:
        """Take other stitches through the same anchors; layers that the spaces share stay, table and statistics go.

        Raises:
            AnchorError: If the space is of other anchors.
            SpaceError: If it has no stitch.
        """
        super().set_space(space)
        self.table = None
        return self

    def set_head(
        self,
        head: HeadLike | HeadSource,
        outputs: int,
        *,
        task: Task | None = None,
        taps: int | None = None,
        **options: Any,
    ) -> Self:
        """End all routes with one head over feature maps, in place of their last anchors' heads.

        Layers that bring maps of other anchors to the largest one's widths are made, and random until
        `snnet.initialize` fits them. The anchors' heads stay, unused. Table and statistics go.

        Args:
            head: A name in `snnet.HEADS`; or a module of your own, which takes the list of maps and gives what the
                task takes, such as `(B, outputs, H, W)`.
            outputs: Width of what it gives, such as the number of classes.
            task: What the network is for; semantic segmentation if None.
            taps: How many maps; if None those of the last four sizes, or four where all are of one size, as far as
                there are so many.
            options: Of the head.

        Raises:
            RecipeError: If there is no such head.
            HeadError: If it does not take the options, or maps of these widths.
            SpaceError: If there are not so many maps.
        """
        source = head if isinstance(head, HeadSource) else HeadSource.of(head, outputs, options)
        asked = taps or usual_taps(self.family[-1])
        before, earlier = self.taps, self._modules.pop("head", None)
        try:
            built = source.build(self.set_taps(asked).map_specs, self.input.size[1:])
        except BaseException:
            self.set_taps(before)
            if earlier is not None:
                self._attach(earlier)
            raise
        self._attach(built)
        self.head_source, self.task, self.table, self.classes = source, task or build_task("segmentation"), None, None
        return self

    def select(
        self, *, prefer: str | None = None, batch: int | None = None, any_machine: bool = False, **limits: float
    ) -> Stitch:
        """Return the best stitch within every limit, by the numbers in `net.table`; see `snnet.select`.

        Args:
            prefer: Column to be best in; the score that the network is chosen by if None.
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
        """From a picture or the path of one to the normalized tensor `(C, H, W)`, as `predict` does."""
        return CleanTransform(self.input, whole=self.task.dense)

    def predict(
        self, images: Picture | Tensor | Iterable[Picture | Tensor], stitch: StitchLike | None = None, **budget: Any
    ) -> Predicted | list[Predicted]:
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
        super().forget_statistics()

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

    output = property(lambda net: net.task.output, doc="What the outputs mean, see `OutputSpec`.")
    settings = property(settings_of, doc="Anything else that the constructor was given, as plain data.")
    config = property(describe, doc="What `config.json` of the saved network says.")

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

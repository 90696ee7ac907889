# Tested in tests/cli/test_measuring.py.
"""`snnet evaluate`: the accuracy of every stitch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, scores_of, show, show_gain, show_json, show_rows, table_json
from snnet.cli.options import Corrupt, Device, ImagesOfRun, Json, Stitches, default_device
from snnet.cli.sources import TABLE, is_network, saved_network, table_file, table_in
from snnet.errors import DataError
from snnet.table import ERROR, SCORE, kinds_of
from snnet.utils import Precision, counted

if TYPE_CHECKING:
    from snnet.data import EvalBatches
    from snnet.evaluation import PredictedScores
    from snnet.network import SNNet
    from snnet.recipes import Recipe


@Parameter(name="*")
@dataclass(frozen=True)
class ImageOptions(ImagesOfRun):
    """The images on which stitches are scored; what is not given is as in the run that trained the network."""

    split: Annotated[Literal["validation", "train"], Parameter(help="Which images.")] = "validation"
    batch_size: Annotated[int | None, Parameter(help="Images per batch; as many as in the run, or 128.")] = None
    workers: Annotated[int | None, Parameter(help="Processes that read images; as many as in the run, or none.")] = None
    max_corrupt: Corrupt = None
    target: Annotated[
        Literal["label", "mask", "depth"] | None,
        Parameter(help="What comes with an image; as in the run, or its label."),
    ] = None
    windows: Annotated[
        Literal["none", "slide", "whole"] | None,
        Parameter(
            help="Whole pictures for networks that end in maps: slide (windows of the network's size), whole (anchors "
            "of any size), none (one crop of each); as in the run."
        ),
    ] = None

    def open(self, network: str, net: "SNNet", output: Path) -> "tuple[Recipe, EvalBatches]":
        """Return what the network was trained with, as far as it is known, and batches of images.

        Raises:
            DataError: If there are none, or the output lies among them.
        """
        from snnet.data import eval_batches

        told = {"data.max_corrupt": self.max_corrupt, "data.target": self.target, "evaluation.windows": self.windows}
        of_run = self.of(network, told)
        recipe = of_run.recipe
        recipe.data.check_outside(output)
        size = recipe.evaluation.batch_size if self.batch_size is None else self.batch_size
        workers = recipe.data.workers if self.workers is None else self.workers
        return recipe, eval_batches(of_run.open(self.split, net.input, net.num_classes), size, workers)


@Parameter(name="*")
@dataclass(frozen=True)
class PredictOptions:
    """Whether most scores are predicted, and how well."""

    predict: Annotated[bool, Parameter(negative="", help="Measure a few stitches and predict the others.")] = False
    error: Annotated[
        float, Parameter(help="With --predict, the expected mean error, in points of top-1, at which to stop.")
    ] = 0.3
    at_most: Annotated[
        float,
        Parameter(help="With --predict, most stitches to measure on all images: a number, or a part if 1 or less."),
    ] = 0.25
    sample: Annotated[
        float,
        Parameter(help="With --predict, the part of the images that the others see; 0 predicts from the curve alone."),
    ] = 0.2

    @property
    def settings(self) -> dict[str, Any]:
        """How well, as keywords of `evaluate_some`."""
        return {"error": self.error, "at_most": self.at_most, "sample": self.sample}

    def check(self, stitches: str, windows: str) -> None:
        """Refuse to predict some stitches alone, or scores of whole pictures.

        Raises:
            DataError: If so.
        """
        if self.predict and stitches != "all":
            raise DataError(
                f"--predict is about all stitches, and --stitches {stitches} about some; give one of the two."
            )
        if self.predict and windows != "none":
            raise DataError(f"--predict sees one crop of each picture, and windows are {windows}; add --windows none.")


_USUAL_IMAGES, _MEASURE_ALL = ImageOptions(), PredictOptions()


def evaluate(
    network: str,
    /,
    *,
    images: ImageOptions = _USUAL_IMAGES,
    stitches: Stitches = "all",
    device: Device = None,
    precision: Precision | None = None,
    output: Path | None = None,
    predicting: PredictOptions = _MEASURE_ALL,
    json: Json = False,
) -> None:
    """Measure top-1, top-5 and loss of every stitch, and save them in the table beside the network.

    Killed at any moment, the same command goes on with the stitches that are missing. Started in several processes
    by torchrun, each takes its part of the images.

    With --predict only the anchors and the stitches that tell most are measured on all images; the others are
    predicted, with an error bar in the column top1_error. A later evaluation measures what was predicted.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        precision: bf16 or fp16 for mixed precision; the network's own by default.
        output: Table file; table.jsonl beside the network by default, or table.bf16.jsonl in another precision.

    Examples:
        snnet evaluate runs/fm
        snnet evaluate runs/deit --device cuda --precision bf16
        snnet evaluate deit_ti_s_b@snnet_deit.pth --data folder --root /data/imagenet --output published.jsonl
        snnet evaluate runs/deit --data folder --root /data/other --predict --error 0.3 --at-most 0.25
    """
    loading()
    from snnet import evaluation
    from snnet.network import chosen_stitches
    from snnet.profiling import count_costs
    from snnet.utils import joined, torch_threads

    path = table_file(network, output)
    net = saved_network(network)
    routes = chosen_stitches(net, stitches)
    path = table_in(net, path, network, precision)
    recipe, batches = images.open(network, net, path)
    predicting.check(stitches, windows=recipe.evaluation.windows.kind)
    count_costs(net)
    found, device = None, default_device(device)
    with torch_threads(recipe.run.threads), joined(device), progress("Evaluating") as report:
        settings: dict[str, Any] = {"device": device, "precision": precision, "output": path, "progress": report}
        exact = settings | {"stitches": routes, "windows": recipe.evaluation.windows}
        if predicting.predict:
            found = evaluation.evaluate_some(net, batches, **settings, **predicting.settings)
        table = found.table if found else evaluation.evaluate(net, batches, **exact)
    if json:
        show_json(table_json(table))
        return
    scores = (SCORE, SCORE + ERROR) if found else scores_of(table)
    show_rows(table, names=[*(kind.name for kind in kinds_of("cost")), *scores])
    show_gain(net.table or table)
    if not table.hits:
        say("No gain over the anchors: these scores are without hits of single images; --output FILE measures anew.")
    _show_prediction(found)
    show(f"{counted(len(table), 'stitch')} on {counted(batches.images, 'image')}; written to {path}")
    known = network if is_network(network) and path.name == TABLE and output is None else path
    show(f"Next: snnet report {known} --output REPORT, or snnet select {known} --macs 3G")


def _show_prediction(found: "PredictedScores | None") -> None:
    if found is None:
        return
    show(
        f"{counted(found.measured, 'stitch')} measured, {found.predicted:,} predicted to {found.error:.2f} points of "
        f"top-1 on average (expected), with {100 * found.work:.0f} % of the work"
    )
    if found.next:
        show(f"The stitch that would tell most next: {found.next[0]}")

"""`snnet export`: a stitch as a file that other programs run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from snnet.cli.console import say, show, show_json
from snnet.cli.export_bundle import BUNDLE, Quantize, check_one_stitch, export_bundle
from snnet.cli.overrides import only_given
from snnet.cli.sources import data_of, saved_network
from snnet.cli.values import Json, OtherData, OtherRoot

if TYPE_CHECKING:
    from torch import Tensor

    from snnet.network import SNNet
    from snnet.recipes import RunData

_IMAGES = 8  # to compare on

Format = Annotated[
    str | None,
    Parameter(
        help="torch (.pt2), onnx (.onnx) or openvino (.xml with .bin), by the ending of --output if not given; "
        "or onnx-bundle, a folder with many stitches and one copy of the weights."
    ),
]


def export(
    network: str,
    /,
    *,
    stitch: str | None = None,
    stitches: Annotated[
        str | None, Parameter(help="For a bundle: all, anchors, frontier (the default), or numbers and ids.")
    ] = None,
    output: Path,
    format: Format = None,
    quantize: Quantize = None,
    calibration_images: int | None = None,
    data: OtherData = None,
    root: OtherRoot = None,
    json: Json = False,
) -> None:
    """Write one stitch as a file that runs without snnet, for any size of batch.

    The file is compared with the network before it takes its place, on random and on real images. Its metadata tells
    size and normalization of the images, the classes, the stitch and the versions.

    With --format onnx-bundle, many stitches are written as one folder, in which each weight is stored once.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        stitch: Number or id of the stitch; `snnet select` finds the best under a budget.
        output: The file, or the folder of a bundle.
        quantize: For a bundle: 8-bit weights, and activations as they come (dynamic) or by calibration (static). The
            accuracy before and after is measured on the validation images.
        calibration_images: Training images on which static quantization measures activations; as many as the run took
            to fit its stitching layers, or 128.

    Examples:
        snnet export runs/fm --stitch 17 --output stitch.onnx
        snnet export runs/deit --stitch 0:0-5,1:5-12 --format openvino --output stitch.xml
        snnet export runs/mine --stitch 3 --output stitch.pt2 --data folder --root /data/mine
        snnet export runs/deit --stitches frontier --format onnx-bundle --output bundle
    """
    from snnet.export import export_stitch

    # A file is compared on real images if they are at hand, and needs none.
    needs_images = data is not None or root is not None or (quantize is not None and format == BUNDLE)
    of_run = data_of(network, only_given({"data.name": data, "data.root": root})) if needs_images else None
    if format == BUNDLE:
        net = saved_network(network)
        export_bundle(
            net,
            stitches or stitch or "frontier",
            output,
            of_run=of_run,
            images=_real_images(net, of_run),
            quantize=quantize,
            calibration_images=calibration_images,
            json=json,
        )
        return
    chosen = check_one_stitch(stitch, quantize, stitches)
    net = saved_network(network)
    route = net.space.find(chosen)
    say(f"Exporting stitch {route}")
    report = export_stitch(net, route, output, format=format, images=_real_images(net, of_run))
    if json:
        facts = {"path": str(report.path), "format": report.format, "stitch": route.id, "bytes": report.nbytes}
        show_json({**facts, "errors": report.errors})
        return
    show(str(report))


def _real_images(net: "SNNet", of_run: "RunData | None") -> "Tensor | None":
    """Return some validation images; None if none are asked for, or embedded ones, which the export finds by itself."""
    if of_run is None or of_run.recipe.data.name == "embedded":
        return None
    from snnet.data import calibration_images

    return calibration_images(of_run.open("validation", net.input, net.num_classes, any_classes=True), _IMAGES)

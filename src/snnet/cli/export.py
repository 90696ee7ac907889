"""`snnet export`: a stitch as a file that other programs run, or many with one copy of their weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show, show_json, show_rows
from snnet.cli.options import RUN_IMAGES, ImagesOfRun, Json, writable
from snnet.cli.sources import saved_network
from snnet.errors import ExportError
from snnet.utils import counted

if TYPE_CHECKING:
    from torch import Tensor

    from snnet.network import SNNet
    from snnet.recipes import RunData

BUNDLE = "onnx-bundle"
_CALIBRATION_IMAGES, _COMPARED_IMAGES = 128, 8
Quantize = Literal["dynamic", "static"] | None
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
    keep_float: Annotated[bool, Parameter(negative="")] = False,
    calibration_images: int | None = None,
    images: ImagesOfRun = RUN_IMAGES,
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
            score before and after is measured on the validation images.
        keep_float: With --quantize, write the stitches as they are, too; those of 8 bits end with @int8, and a runtime
            and `snnet serve` choose among all.
        calibration_images: Training images on which static quantization measures activations; as many as the run took
            to fit its stitching layers, or 128.

    Examples:
        snnet export runs/fm --stitch 17 --output stitch.onnx
        snnet export runs/deit --stitch 0:0-5,1:5-12 --format openvino --output stitch.xml
        snnet export runs/mine --stitch 3 --output stitch.pt2 --data folder --root /data/mine
        snnet export runs/deit --stitches frontier --format onnx-bundle --output bundle
    """
    loading()
    from snnet.export import export_stitch

    writable(output, is_file=format != BUNDLE)
    if keep_float and quantize is None:
        raise ExportError("--keep-float is about bundles that are quantized; add --quantize dynamic or static.")
    chosen = stitches or stitch or "frontier" if format == BUNDLE else _one_stitch(stitch, quantize, stitches)
    # A file is compared on real images if they are at hand, and needs none.
    of_run = images.of(network) if images != RUN_IMAGES or quantize is not None else None
    if of_run is not None:
        of_run.recipe.data.check_outside(output)
    net = saved_network(network)
    compared = _real_images(net, of_run)
    if format == BUNDLE:
        settings: dict[str, Any] = {}
        if quantize is not None and of_run is not None:
            settings = _quantizing(net, of_run, quantize, calibration_images, keep_float=keep_float)
        _export_bundle(net, chosen, output, json=json, images=compared, **settings)
        return
    route = net.space.find(chosen)
    say(f"Exporting stitch {route}")
    report = export_stitch(net, route, output, format=format, images=compared)
    if json:
        facts = {"path": str(report.path), "format": report.format, "stitch": route.id, "bytes": report.nbytes}
        show_json({**facts, "errors": report.errors})
        return
    show(str(report))


def _one_stitch(stitch: str | None, quantize: Quantize, stitches: str | None) -> str:
    """Return the one stitch that a file is for; refuse options that are for many stitches alone."""
    if stitches is not None or quantize is not None:
        option = "--stitches" if stitches is not None else "--quantize"
        raise ExportError(f"{option} is for bundles; add --format {BUNDLE}, and name a folder with --output.")
    if stitch is None:
        raise ExportError(
            f"Name the stitch with --stitch NUMBER or ID, or several with --stitches and --format {BUNDLE}."
        )
    return stitch


def _real_images(net: "SNNet", of_run: "RunData | None") -> "Tensor | None":
    """Return some validation images; None if none are asked for, or embedded ones, which the export finds by itself."""
    if of_run is None or of_run.recipe.data.name == "embedded":
        return None
    from snnet.data import calibration_images

    return calibration_images(of_run.open("validation", net.input, net.num_classes, any_classes=True), _COMPARED_IMAGES)


def _quantizing(
    net: "SNNet", of_run: "RunData", mode: Literal["dynamic", "static"], count: int | None, *, keep_float: bool
) -> dict[str, Any]:
    from snnet.data import calibration_images, check_classes, eval_batches
    from snnet.export.bundle import Quantization

    images = None
    if mode == "static":
        usual = of_run.recipe.calibration.images if of_run.is_own else _CALIBRATION_IMAGES
        training = of_run.open("train", net.input, net.num_classes, any_classes=True)
        images = calibration_images(training, usual if count is None else count)
    held_out = of_run.open("validation", net.input, net.num_classes)
    check_classes(net.classes, held_out.classes)
    return {"quantization": Quantization(mode, images, keep_float), "scored_on": eval_batches(held_out, 64)}


def _export_bundle(net: "SNNet", stitches: str, output: Path, *, json: bool, **settings: Any) -> None:
    """Write a bundle, and print what it holds."""
    from snnet.export.bundle import write_bundle
    from snnet.network import chosen_stitches

    with progress("Exporting") as report:
        bundle = write_bundle(net, output, chosen_stitches(net, stitches), progress=report, **settings)
    size = bundle.weights.stat().st_size
    if json:
        rows = [row.to_dict() for row in bundle.table]
        facts = {"path": str(bundle.path), "format": BUNDLE, "stitches": len(rows), "weights_bytes": size}
        show_json({**facts, "quantization": bundle.manifest.quantization, "table": rows})
        return
    show_rows(bundle.table)
    show(f"{bundle.path}: {counted(len(bundle.table), 'stitch')}, weights {size / 1e6:.1f} MB in one file")
    show("Checked: every graph was compared with the network before it was kept.")

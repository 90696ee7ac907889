"""`snnet export --format onnx-bundle`: many stitches and one copy of their weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snnet.cli.console import show, show_json
from snnet.cli.progress import progress
from snnet.cli.tables import show_rows
from snnet.errors import ExportError

if TYPE_CHECKING:
    from torch import Tensor

    from snnet.export.bundle import Bundle
    from snnet.network import SNNet
    from snnet.recipes import RunData

BUNDLE = "onnx-bundle"
_CALIBRATION_IMAGES = 128
Quantize = Literal["dynamic", "static"] | None


def export_bundle(
    net: "SNNet",
    stitches: str,
    output: Path,
    *,
    of_run: "RunData | None",
    images: "Tensor | None",
    quantize: Quantize,
    calibration_images: int | None,
    json: bool,
) -> None:
    """Write a bundle, and print what it holds."""
    from snnet.export.bundle import write_bundle
    from snnet.network import chosen_stitches

    routes = chosen_stitches(net, stitches)
    settings: dict[str, Any] = {}
    if quantize is not None and of_run is not None:
        settings = _quantizing(net, quantize, calibration_images, of_run)
    with progress("Exporting") as report:
        bundle = write_bundle(net, output, routes, images=images, progress=report, **settings)
    if json:
        show_json(_facts(bundle))
        return
    show_rows(bundle.table)
    facts = _facts(bundle)
    show(f"{bundle.path}: {facts['stitches']} stitches, weights {facts['weights_bytes'] / 1e6:.1f} MB in one file")
    show("Checked: every graph was compared with the network before it was kept.")


def check_one_stitch(stitch: str | None, quantize: Quantize, stitches: str | None) -> str:
    """Return the one stitch that a file is for.

    Raises:
        ExportError: If an option was given that is for many stitches alone, or no stitch.
    """
    if stitches is not None or quantize is not None:
        option = "--stitches" if stitches is not None else "--quantize"
        raise ExportError(f"{option} is for bundles; add --format {BUNDLE}, and name a folder with --output.")
    if stitch is None:
        raise ExportError(
            f"Name the stitch with --stitch NUMBER or ID, or several with --stitches and --format {BUNDLE}."
        )
    return stitch


def _quantizing(
    net: "SNNet", mode: Literal["dynamic", "static"], count: int | None, of_run: "RunData"
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
    return {"quantization": Quantization(mode, images), "scored_on": eval_batches(held_out, 64)}


def _facts(bundle: "Bundle") -> dict[str, Any]:
    return {
        "path": str(bundle.path),
        "format": BUNDLE,
        "stitches": len(bundle.table),
        "weights_bytes": bundle.weights.stat().st_size,
        "quantization": bundle.manifest.quantization,
        "table": [row.to_dict() for row in bundle.table],
    }

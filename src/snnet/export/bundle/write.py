"""Writing a bundle: whole, or not at all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from snnet.errors import ExportError
from snnet.export.bundle.bundle import Bundle
from snnet.export.bundle.graphs import StitchGraphs
from snnet.export.bundle.manifest import GRAPHS, MANIFEST, Manifest, graph_path
from snnet.export.bundle.quantize import PRECISION, Batches, Quantization, quantize_graphs
from snnet.export.export import real_images
from snnet.network import SNNet, Stitches, chosen_stitches
from snnet.table import StitchRow, StitchTable, column, with_precisions
from snnet.tasks import Classification, describe_task
from snnet.utils import (
    Show,
    check_output,
    finish_folder,
    remove_left_behind,
    require,
    shows_progress,
    versions,
    write_folder,
)


@shows_progress("Writing a bundle")
def write_bundle(
    net: SNNet,
    path: str | Path,
    stitches: Stitches | None = None,
    *,
    images: Tensor | None = None,
    quantization: Quantization | None = None,
    scored_on: Batches | None = None,
    progress: Show = None,
) -> Bundle:
    """Write stitches of a network as ONNX graphs that share one file of weights.

    Every graph is compared with the network before anything is in place; an earlier bundle stays until then.

    Args:
        net: The network.
        path: The folder; it may hold an earlier bundle, and nothing else.
        stitches: Numbers, ids or values, `anchors` or `frontier`; all of the space if None.
        images: Real images `(B, C, H, W)`, normalized, to compare on besides random ones; embedded ones if None.
        quantization: Write 8-bit weights, in place of the network's or beside them.
        scored_on: Batches of images and targets on which the score before and after quantization is measured.
        progress: Told `(stitches done, stitches in all, id)`; None shows a bar where someone watches, False nothing.

    Raises:
        SpaceError: If the network has no such stitch.
        ExportError: If a graph does not compute what the network does, or the files cannot be written.
        ExtraError: If onnx or onnxruntime is not installed.
    """
    require("onnxruntime", "onnx")
    routes = chosen_stitches(net, stitches)
    target = Path(path)
    _check_free(target)
    tell, total = progress or (lambda *_: None), len(routes) * (1 if quantization is None else 2)
    if images is None and (embedded := real_images(net.input)) is not None:
        images = embedded[:2]  # few, for each is run through every stitch, by torch and by onnxruntime
    with _staged(target) as staged:
        graphs = StitchGraphs(net, staged / GRAPHS, images)
        files = {}
        for number, route in enumerate(routes):
            tell(number, total, str(route))
            files[str(route)] = graphs.add(route)
        table = _table(net, files)
        if quantization is not None:

            def told(done: int, name: str) -> None:
                tell(len(routes) + done, total, name)

            scores = quantize_graphs(files, graphs.weights, quantization, scored_on, net.task, told)
            quantized = _rescored(table, scores)
            table = with_precisions(table, {PRECISION: quantized}) if quantization.keep_float else quantized
        graphs.close()
        _manifest(net, table, quantization).save(staged)
        tell(total, total, "")
    return Bundle.open(target, verify=False)


def _manifest(net: SNNet, table: StitchTable, quantization: Quantization | None) -> Manifest:
    return Manifest(
        table,
        {row.stitch: graph_path(row.stitch) for row in table},
        net.input,
        net.classes,
        net.num_classes,
        versions("onnx", "onnxscript", "onnxruntime"),
        None if quantization is None else quantization.to_dict(),
        task=None if type(net.task) is Classification else describe_task(net.task),
        output=net.output,
    )


def _table(net: SNNet, stitches: Iterable[str]) -> StitchTable:
    """Return the rows that the network's table has of these stitches, and their numbers where it has none."""
    known = net.table if net.table is not None else StitchTable([])
    routes = sorted(map(net.space.find, stitches), key=net.space.index)
    rows = (StitchRow(net.space.index(r), str(r), known[r].values if r in known else {}) for r in routes)
    return StitchTable(rows, known.meta)


def _rescored(table: StitchTable, scores: dict[str, dict[str, float]]) -> StitchTable:
    """Take out what was measured on weights that were not quantized, and put in what was measured on these."""

    def values(row: StitchRow) -> dict[str, float]:
        return {k: v for k, v in row.values.items() if column(k).is_counted} | scores.get(row.stitch, {})

    meta = {name: fact for name, fact in table.meta.items() if name in ("anchors", "depths", "score")}
    return StitchTable(table.with_values(values), meta)


def _check_free(target: Path) -> None:
    if check_output(target, ExportError).is_dir():
        remove_left_behind(target)
        finish_folder(target, last=MANIFEST)
    if target.exists() and not (target / MANIFEST).is_file() and any(target.iterdir()):
        raise ExportError(f"{target} holds something that is no bundle; name a new folder, or empty this one.")


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield a folder whose files take the place of the bundle's once the block has ended well."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        before = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
        with write_folder(target, last=MANIFEST, gone=before) as fresh:
            yield fresh
    except OSError as error:
        raise ExportError(f"{target} cannot be written ({error}); make room or choose another place.") from error

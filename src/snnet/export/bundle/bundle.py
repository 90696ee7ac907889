"""A bundle on disk: which stitches it has, which one to take, and sessions that run them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from snnet.data import Picture, Pixels, normalized_pixels, open_picture
from snnet.errors import SpaceError, TableError
from snnet.export.bundle.manifest import GRAPHS, WEIGHTS, Manifest
from snnet.export.bundle.sessions import open_session
from snnet.network import Predicted, predict_images
from snnet.space import Stitch
from snnet.table import select
from snnet.utils import counted


class Bundle:
    """Stitches of a network that share one file of weights; needs onnxruntime and neither torch nor the network.

    Args:
        path: The folder.
        manifest: What it holds.

    Attributes:
        table: Costs, scores and latencies of its stitches, with their numbers in the network's space.
        stitches: Its stitches, in the order of the space.
        weights: The file of the weights.
        input: Size and normalization of the images.
        output: What the outputs mean.
        classes: Names of the classes in the order of the logits; None if not known.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self.table, self.input, self.classes = manifest.table, manifest.input, manifest.classes
        self.output = manifest.output
        self.stitches = tuple(row.route for row in self.table)
        self.weights = path / GRAPHS / WEIGHTS
        self._sessions: dict[Stitch, Any] = {}

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> "Bundle":
        """Open a bundle that `write_bundle` or `snnet export` wrote.

        Args:
            path: The folder.
            verify: Read all files and compare them with what was written.

        Raises:
            ExportError: If it is no bundle, of a newer version, or a file is missing or damaged; the message names it.
        """
        folder = Path(path)
        manifest = Manifest.load(folder, verify=verify)
        if verify:
            manifest.check(folder)
        return cls(folder, manifest)

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}, {counted(len(self.table), 'stitch')})"

    def select(self, **limits: Any) -> Stitch:
        """Return the best of its stitches within every limit; see `snnet.select` for what may be asked.

        Raises:
            BudgetError: If nothing fits, or the table lacks a column.
        """
        return select(self.table, **limits)

    def transform(self, picture: Picture) -> Pixels:
        """Return the normalized array `(C, H, W)` of a picture or the path of one, equal to what `net.transform` gives.

        Raises:
            DataError: If the file is missing or no image.
        """
        return normalized_pixels(open_picture(picture), self.input, whole=self.output.dense)

    def predict(
        self,
        images: Picture | Pixels | Iterable[Picture | Pixels],
        stitch: int | str | Stitch | None = None,
        **budget: Any,
    ) -> Predicted | list[Predicted]:
        """Return what a stitch sees in pictures, paths or normalized arrays, as `SNNet.predict` does.

        A stitch's session is opened when it first answers, and kept.
        """
        return predict_images(self, images, stitch, budget, stitches=self.stitches, run=self._run)

    def _run(self, pixels: Pixels, stitch: Stitch) -> NDArray[Any]:
        if stitch not in self._sessions:
            self._sessions[stitch] = self.session(stitch)
        session = self._sessions[stitch]
        logits: NDArray[Any] = session.run(None, {session.get_inputs()[0].name: pixels})[0]
        return logits

    def find(self, stitch: int | str | Stitch) -> Stitch:
        """Return one of its stitches by its number in the space, its id or as a value.

        Raises:
            SpaceError: If the bundle does not have it.
        """
        try:
            return self.table[stitch].route
        except TableError:
            known = ", ".join(list(self.manifest.graphs)[:4])
            raise SpaceError(
                f"{self.path} has no stitch {stitch}; it has {len(self.table)}: {known}, ... Export again with this "
                "one, or choose one of these."
            ) from None

    def graph(self, stitch: int | str | Stitch) -> Path:
        """Return the `.onnx` file of a stitch, by its number in the space, its id or as a value.

        Raises:
            SpaceError: If the bundle does not have it.
        """
        return self.path / self.manifest.graphs[str(self.find(stitch))]

    def session(self, stitch: int | str | Stitch, *, threads: int = 1, prepack: bool = False) -> Any:
        """Return an `onnxruntime.InferenceSession` of a stitch; sessions share the mapped weights.

        Args:
            stitch: Number, id or value.
            threads: Threads of one call.
            prepack: Let it pack the weights for itself: faster, and they are no longer shared.

        Raises:
            SpaceError: If the bundle does not have the stitch.
            EngineError: If onnxruntime cannot open it.
        """
        return open_session(self.graph(stitch), threads=threads, prepack=prepack)

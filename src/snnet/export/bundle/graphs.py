# Tested in tests/export/bundle/test_write.py.
"""Graphs of a network's stitches, written one after another beside one file of weights."""

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snnet.anchors import sample_images
from snnet.errors import ExportError
from snnet.export.bundle.manifest import WEIGHTS
from snnet.export.bundle.sessions import open_session
from snnet.export.bundle.step_graph import export_step, join
from snnet.export.bundle.weights import WeightFile
from snnet.export.onnx_graph import INPUT
from snnet.network import SNNet, StitchLike, replicate, to_plain
from snnet.space import Step
from snnet.utils import write_aside

if TYPE_CHECKING:
    from onnx import ModelProto

TOLERANCE = 1e-4
"""Largest difference of two results, relative to the largest number in them."""


class StitchGraphs:
    """A folder with a graph per stitch and their common weights; graphs are added when they are asked for.

    What a graph computes is compared with the network before the graph is there. Safe to use from several threads.

    Args:
        net: The network; it is not changed. Numbers are written as float32.
        folder: Where to write; made if it does not exist.
        images: Images `(B, C, H, W)` to compare on, besides random ones.
    """

    def __init__(self, net: SNNet, folder: Path, images: Tensor | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.weights = WeightFile(folder / WEIGHTS)
        self._net = replicate(net, to_plain)
        self._steps: dict[tuple[Step, str], ModelProto] = {}
        self._lock = RLock()
        samples = sample_images(net.input, 2)
        self._images = samples if images is None else torch.cat([samples, images.detach().cpu().float()])

    def add(self, stitch: StitchLike) -> Path:
        """Return the graph of a stitch, written now or before.

        Raises:
            SpaceError: If the network has no such stitch.
            ExportError: If the graph does not compute what the network does.
        """
        route = self._net.space.find(stitch)
        path = self.folder / f"{str(route).replace(':', '_')}.onnx"
        with self._lock:
            if not path.exists():
                with write_aside(path) as partial:
                    self._write(self._join(self._net.steps(route), self._net.prefixes(route)), partial)
                    self.check(open_session(partial), route)
        return path

    def check(self, session: Any, stitch: StitchLike) -> None:
        """Compare a session of a stitch with the network.

        Raises:
            ExportError: If they differ.
        """
        with torch.inference_mode():
            expected = self._net(self._images, stitch)
        check_session(session, self._images, expected, f"The graph of stitch {self._net.space.find(stitch)}")

    def add_step(self, step: Step, example: Tensor, path: Path) -> Path:
        """Write the graph of one step alone, with its weights in the common file."""
        with self._lock:
            graph = self._step(step, "", example.repeat(2, *[1] * (example.ndim - 1)))
            self._write(join([graph]), path)
        return path

    def close(self) -> None:
        """Finish the file of weights."""
        with self._lock:
            self.weights.close()

    def _join(self, steps: Sequence[Step], prefixes: Sequence[str]) -> "ModelProto":
        models, features = [], self._images[:2]
        for step, prefix in zip(steps, prefixes, strict=True):
            models.append(self._step(step, prefix, features))
            with torch.no_grad():
                features = self._net.run_step(step, features, prefix)
        return join(models)

    def _step(self, step: Step, prefix: str, example: Tensor) -> "ModelProto":
        # Only running statistics make a step differ from place to place.
        key = (step, "" if self._net.statistics.get(prefix) is None else prefix)
        if key not in self._steps:
            model = export_step(self._net, step, prefix, example)
            for tensor in model.graph.initializer:
                self.weights.move_out(tensor)
            self._steps[key] = model
        return self._steps[key]

    def _write(self, model: "ModelProto", path: Path) -> None:
        self.weights.flush()
        path.write_bytes(model.SerializeToString())


def check_session(session: Any, images: Tensor, expected: Tensor, name: str) -> None:
    """Compare what a session computes with what the network does.

    Raises:
        ExportError: If they differ by more than `TOLERANCE`.
    """
    error = float((run_session(session, images) - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    if not error <= TOLERANCE:
        raise ExportError(
            f"{name} differs from the network by {error:.1e} of its largest logit, and {TOLERANCE:.0e} is accepted; "
            "it was made of other weights, or the exporter does not do this model right."
        )


def run_session(session: Any, images: Tensor) -> Tensor:
    """Run a session on images `(B, ...)` in the memory where they lie."""
    given = images.detach().contiguous().numpy()
    result: Tensor = torch.from_numpy(session.run(None, {INPUT: given})[0])
    return result

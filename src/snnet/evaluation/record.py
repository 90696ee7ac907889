"""Under what scores are measured, and a file of those already known, rewritten as they come and found after a kill."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnet.errors import DataError, RecipeError, TableError
from snnet.evaluation.windows import WindowKind, Windows
from snnet.network import SNNet
from snnet.table import (
    Hits,
    StitchRow,
    StitchTable,
    chosen_by,
    column,
    without_predictions,
    without_scores,
)
from snnet.utils import (
    Precision,
    check_output,
    check_precision,
    counted,
    evaluating,
    fast_linear,
    gather,
    precision_of,
    torch_dtype,
)

_FACTS = {
    "network": "weights or layers of the network",
    "precision": "number format",
    "data": "images or labels",
    "windows": "windows",
}


def network_digest(net: nn.Module) -> str:
    """Return a digest of the names, types, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    # Statistics of batch norms come in another order each time a network is loaded.
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


@dataclass(frozen=True)
class Conditions:
    """How a network is scored.

    Attributes:
        net: The network.
        device: Where it runs.
        mixed: The precision that it is mixed with; None where it computes in its own.
        windows: How it sees pictures, if it ends in maps.
    """

    net: SNNet
    device: torch.device
    mixed: Precision | None
    windows: Windows

    @classmethod
    def of(
        cls,
        net: SNNet,
        precision: Precision | None,
        device: str | torch.device | None,
        windows: Windows | WindowKind = "none",
    ) -> "Conditions":
        """Return the conditions that are asked for, where None is what the network is in, and where it is.

        Raises:
            DataError: If the network cannot see pictures in this way.
            RecipeError: If the device does not compute in this precision, or the weights are of a smaller one.
        """
        seen = Windows.of(windows, net)
        own, place = precision_of(net.dtype), net.device if device is None else torch.device(device)
        if precision is None or precision == own:
            return cls(net, place, None, seen)
        check_precision(precision, place)
        if precision == "fp32":
            raise RecipeError(f"Precision fp32 needs weights in fp32, and those of this network are in {own}.")
        return cls(net, place, precision, seen)

    def facts(self) -> dict[str, str]:
        """Return what scores depend on besides the images: a digest of the network, precision, windows.

        Raises:
            DataError: If the processes have other weights.
        """
        digests = gather(network_digest(self.net))
        if len(set(digests)) > 1:
            raise DataError("The processes have different weights; load or train the same network in all of them.")
        own = precision_of(self.net.dtype)
        precision = f"{own} with {self.mixed}" if self.mixed else own
        return {"network": digests[0], "precision": precision, **self.windows.facts}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the network run on the device, in evaluation mode and this precision, as long as the block lasts."""
        mixed = torch.autocast(self.device.type, torch_dtype(self.mixed) if self.mixed else None, bool(self.mixed))
        with evaluating(self.net, self.device), fast_linear(self.device), mixed:
            yield


class Record:
    """The scores of one network on one data set, in memory and, where a path is given, on disk.

    Args:
        net: Has the stitches, and the task whose scores they are.
        facts: What the scores depend on: digest of the network, precision.
        output: The file. If it holds a table of costs, its columns are kept; if it holds scores of the same
            network and data, they are taken over.

    Raises:
        TableError: If the file holds scores that do not belong here, or cannot be written.
    """

    def __init__(self, net: SNNet, facts: Mapping[str, Any], output: str | Path | None) -> None:
        self._space, self._score = net.space, net.task.scores[0]
        self._path = path = None if output is None else Path(output)
        self.facts = dict(facts)
        self.scores: dict[str, dict[str, float]] = {}
        self.nonfinite: dict[str, int] = {}
        self._bits: dict[str, int] = {}
        if path is not None:
            check_output(path, TableError, is_file=True).parent.mkdir(parents=True, exist_ok=True)
        # What was predicted there is not known, and is predicted anew from what will be.
        self.written = without_predictions(StitchTable.load(path) if path and path.exists() else StitchTable([]))
        for row in self.written:
            if self._score in row.values:
                self.scores[row.stitch] = {k: v for k, v in row.values.items() if column(k).role == "score"}
        if self.scores:
            self._compare(self.written.meta.get("evaluation") or {}, {"windows": None, **facts})
            self.facts["data"] = self.written.meta["evaluation"].get("data")
            self.nonfinite = dict(self.written.meta.get("nonfinite") or {})

    def check_data(self, data: Mapping[str, Any]) -> None:
        """Compare the data with that of the scores so far; the first call without scores settles it.

        Raises:
            TableError: If they differ.
        """
        self._compare({"data": self.facts.setdefault("data", dict(data))}, {"data": dict(data)})

    def add(self, stitch: str, values: Mapping[str, float], nonfinite: int, bits: int | None = None) -> None:
        """File the scores of a finished stitch, and its hits (`Hits.bits`) where its task counts them."""
        self.scores[stitch] = dict(values)
        if bits is not None:
            self._bits[stitch] = bits
        if nonfinite:
            self.nonfinite[stitch] = nonfinite

    def table(self, costs: StitchTable | None) -> StitchTable:
        """Return the scores laid over all other columns of the file and of `costs`, in the order of the space.

        Scores in `costs` are kept where they are of the same network and data, and dropped where they are not.
        """
        base = without_predictions(costs or StitchTable([]))
        same = base.meta.get("evaluation") == self.facts
        layers: list[Mapping[str, Mapping[str, float]]] = [
            {row.stitch: row.values for row in without_scores(self.written)},
            {row.stitch: row.values for row in (base if same else without_scores(base))},
            self.scores,
        ]
        rows = []
        for index, stitch in enumerate(map(str, self._space)):
            if values := [known[stitch] for known in layers if stitch in known]:
                rows.append(StitchRow(index, stitch, {k: v for part in values for k, v in part.items()}))
        nonfinite = {**(base.meta.get("nonfinite", {}) if same else {}), **self.nonfinite}
        images = (self.facts.get("data") or {}).get("images")
        meta = {"evaluation": dict(self.facts), "images": images, "nonfinite": nonfinite, **chosen_by(self._score)}
        # Of those that lie there and are of other facts nothing is taken.
        own = Hits(images or 0, self._bits, self.facts).over(self.written.hits).over(base.hits)
        hits = own if len(own) else None
        return StitchTable(rows, {**self.written.meta, **base.meta, **meta}, hits)

    def save(self, costs: StitchTable | None) -> None:
        """Rewrite the file, whole or not at all."""
        if self._path is not None:
            self.table(costs).save(self._path)

    def _compare(self, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        differing = [name for key, name in _FACTS.items() if key in here and there.get(key) != here[key]]
        if differing:
            raise TableError(
                f"{self._path or 'The table'} holds scores of something else: other {' and '.join(differing)}"
                f"{_counts(there, here)}. Give another output (--output FILE), or delete that file to evaluate anew."
            )


def _counts(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Return how many images there were and are, where that is known and tells the two apart."""
    before, now = ((facts.get("data") or {}).get("images") for facts in (there, here))
    if before is None or now is None or before == now:
        return ""
    why = f"; `snnet train` with evaluation.images {before} scores on so many" if before < now else ""
    return f" ({counted(before, 'image')} there, {now:,} here{why})"

"""A network, or a bundle of one, as a service: opened, profiled, asked, replaced by a new version, and drained."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from ctypes import CDLL
from dataclasses import replace
from functools import partial
from pathlib import Path
from reprlib import repr as shown
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snnet.data import normalized_pixels, open_picture
from snnet.errors import BudgetError, DataError, EngineError
from snnet.serving.dispatcher import Dispatcher
from snnet.serving.front.asking import Answered, Asked
from snnet.serving.history import History
from snnet.serving.opening import USUAL_SERVICE, ServiceSettings, Version, open_version
from snnet.space import OutputSpec
from snnet.table import COST, LATENCY, StitchTable, column
from snnet.utils import Show

_A_DAY_MS = 86_400_000.0
_ENDS = "This server is going down, and opens no other version."


class Service:
    """Answers requests by the stitch that their deadlines and the load allow.

    Made by `open`; `ask` and everything after it belongs to one event loop.

    Args:
        first: What answers.
        settings: How.
        history: What became of requests lately; the dispatcher tells it.

    Attributes:
        name: What clients call the model.
        ready: Whether it accepts requests.
        settings: How it answers.
    """

    def __init__(self, first: Version, settings: ServiceSettings, history: History) -> None:
        self._version, self.settings, self.history = first, settings, history
        self.name, self.ready = first.source.resolve().name, True
        self._changing = asyncio.Lock()

    @classmethod
    def open(
        cls,
        source: str | Path,
        settings: ServiceSettings = USUAL_SERVICE,
        *,
        progress: Show = False,
    ) -> Self:
        """Open a saved network or a bundle, start the workers, and measure them unless that was done before.

        Args:
            source: Directory of a saved network, or of a bundle.
            settings: How it answers.
            progress: Told how far the measuring is.

        Raises:
            BudgetError: If no stitch has a score, or a setting does not fit the source.
            CheckpointError: If it cannot be read; ExportError for a bundle.
            EngineError: If the workers do not start.
        """
        history = History()
        return cls(open_version(Path(source), settings, history.hear, progress, number=1), settings, history)

    @property
    def version(self) -> str:
        """Number of the version that answers."""
        return str(self._version.number)

    @property
    def slo_ms(self) -> float:
        """Milliseconds within which a request is answered that says nothing else."""
        return self.settings.slo_ms

    @property
    def size(self) -> tuple[int, int, int]:
        """`(C, H, W)` of the images that it takes."""
        return self._version.input.size

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes; None if not known."""
        return self._version.classes

    @property
    def class_count(self) -> int:
        """Width of the logits."""
        return self._version.class_count

    @property
    def output(self) -> OutputSpec:
        """What the logits mean."""
        return self._version.output

    @property
    def largest(self) -> int:
        """Images of a request, at most."""
        return self._version.options.max_batch

    @property
    def table(self) -> StitchTable:
        """The stitches that answer, with scores and latencies."""
        return self._version.table

    @property
    def dispatcher(self) -> Dispatcher:
        """Queue, policy and workers."""
        return self._version.dispatcher

    def queue_length(self) -> int:
        """Return how many requests wait."""
        return self.dispatcher.waiting

    def attainment(self) -> float:
        """Return the share of the requests of the last minute that were answered in time; NaN if there were none."""
        return self.history.attainment(60)

    def live(self) -> dict[str, Any]:
        """Return plain data for JSON: load, queue, stitches, and the last two minutes, second by second."""
        score, cost = column(self.table.score), column(COST)
        return {
            "model": self.name,
            "version": self.version,
            "ready": self.ready,
            "slo_ms": self.slo_ms,
            "queue_length": self.queue_length(),
            "factor": self.dispatcher.scheduler.options.factor,
            "score_name": score.heading,
            "score_label": score.label,
            "score_unit": score.unit,
            "dense": self.output.dense,
            "cost_name": cost.heading,
            "stitches": [
                {
                    "stitch": row.stitch,
                    "cost": row.macs,
                    "score": row.get(score.name),
                    "latency_ms": row.values[LATENCY],
                }
                for row in sorted(self.table, key=lambda row: row.macs or 0)
            ],
            "seconds": self.history.to_list(),
        }

    def transform(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the normalized pixels `(C, H, W)` of a picture; of the whole of it, if there is an answer for each.

        Args:
            picture: As Pillow has it.
        """
        pixels: NDArray[np.float32] = normalized_pixels(
            open_picture(picture), self._version.input, whole=self.output.dense
        )
        return pixels

    async def ask(self, asked: Asked) -> Answered:
        """Return the answer to a request, see `Answering.ask`.

        Args:
            asked: Images and wishes.

        Raises:
            RefusedError: If nothing can answer in time, too many wait, or the service drains.
            DataError: If the images are not of its size.
        """
        size, images = self.size, asked.images
        if images.ndim != 4 or images.shape[1:] != size or images.dtype != np.float32:
            raise DataError(
                f"images are {images.dtype} {images.shape}; accepted: float32 (N, {', '.join(map(str, size))})."
            )
        version = self.version
        answered = await self.dispatcher.ask(asked, self.settings.allowance(asked.deadline_ms))
        # Another one may have taken over meanwhile.
        return answered if version == self.version else replace(answered, version=version)

    async def set_slo(self, slo_ms: float) -> None:
        """Let requests that say nothing else be answered within another time from now on.

        Args:
            slo_ms: Milliseconds.

        Raises:
            BudgetError: If it is no more than transport takes, or more than a day.
        """
        least = self.settings.transport_ms
        if not least < slo_ms <= _A_DAY_MS:
            raise BudgetError(
                f"slo_ms is {shown(slo_ms)}; accepted: more than {least:g}, which transport takes, up to {_A_DAY_MS:g}."
            )
        async with self._changing:
            changed = self.settings.model_copy(update={"slo_ms": slo_ms})
            prepare, loop = self.dispatcher.scheduler.prepare, asyncio.get_running_loop()
            await loop.run_in_executor(None, prepare, changed.allowance(), changed.workers)
            self.settings = changed

    async def use(self, source: str | Path | None = None, progress: Show = False) -> str:
        """Let another version answer from now on. No request is lost: those that wait are answered by the one before.

        Args:
            source: Directory; that of now, whose files were replaced, if None.
            progress: Told how far the measuring is.

        Returns:
            The number of the new version.

        Raises:
            SNNetError: If it cannot be opened, or the service ends meanwhile; the version of now stays.
        """

        def show(*done: Any) -> None:
            if not self.ready:
                raise EngineError(_ENDS)
            if progress:
                progress(*done)

        async with self._changing:
            before = self._version
            place, number = before.source if source is None else Path(source), before.number + 1
            work = partial(open_version, place, self.settings, self.history.hear, show, number=number)
            found = await asyncio.get_running_loop().run_in_executor(None, work)
            if not self.ready:
                await found.dispatcher.close()
                raise EngineError(_ENDS)
            self._version = found
            await before.dispatcher.close()
            await asyncio.get_running_loop().run_in_executor(None, _give_memory_back)
            return str(number)

    async def close(self) -> None:
        """Accept no more, answer what waits, and end the workers, also those of a version that is being opened."""
        self.ready = False
        await self.dispatcher.close()
        async with self._changing:
            pass


def _give_memory_back() -> None:
    """Let the system have what the heap keeps of a version that has ended: hundreds of MiB after a few versions."""
    with suppress(OSError, AttributeError):  # the libc of another system
        CDLL("libc.so.6").malloc_trim(0)

"""Latency and throughput of stitches, measured on the device at hand."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

import torch
from torch import Tensor

from snnet.engines.conditions import Conditions
from snnet.errors import RecipeError
from snnet.network import SNNet, StitchLike
from snnet.replica import replicate
from snnet.route import Stitch

Progress = Callable[[int, int, str], None]


def measure_latency(
    net: SNNet,
    stitches: Sequence[StitchLike],
    *,
    batch_sizes: Sequence[int] = (1,),
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    warmup: int = 3,
    repeats: int = 20,
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, dict[str, float]]:
    """Time forward passes of `stitches`, in rounds that visit all of them in a newly shuffled order.

    A machine that slows down or speeds up while measuring so touches all stitches alike. `net` stays where it
    is and in the mode it is in: a replica is measured, in evaluation and inference mode.

    Args:
        net: The network.
        stitches: Numbers, ids or stitches; each is measured once.
        batch_sizes: Images per forward pass; each size gets its own columns.
        device: Where to measure; where the network lies if None.
        dtype: Type of weights and images; the network's own if None.
        warmup: Rounds before those that count.
        repeats: Rounds that count.
        threads: Threads of torch on the CPU; its current setting if None.
        seed: Of the images and the orders.
        progress: Called after each round with rounds done, rounds in all, and a note.

    Returns:
        For each stitch id its columns: `latency_ms` (median) and `latency_ms_p95` for batch 1, with `@8`
        appended for batch 8, and `throughput` in images per second at the largest batch.

    Raises:
        RecipeError: If the device is unknown or a number is out of range; the message lists all such numbers.
        SpaceError: If a stitch is not in the network's space.
    """
    _check_numbers(batch_sizes, warmup, repeats, threads)
    conditions = Conditions.of(net, device, dtype, threads)
    routes = tuple(dict.fromkeys(net.space.find(stitch) for stitch in stitches))
    columns: dict[str, dict[str, float]] = {route.id: {} for route in routes}
    largest, rounds = max(batch_sizes), warmup + repeats
    with _set_threads(conditions.threads), torch.inference_mode():
        bench = _Bench(_replica(net, conditions), routes, conditions, random.Random(seed))
        for done, batch in enumerate(batch_sizes):
            images = _images(net, batch, conditions, seed)
            times: dict[str, list[float]] = {route.id: [] for route in routes}
            for number in range(rounds):
                for stitch, milliseconds in bench.round(images):
                    times[stitch] += [milliseconds] if number >= warmup else []
                if progress is not None:
                    progress(done * rounds + number + 1, len(batch_sizes) * rounds, f"batch {batch}")
            for stitch, measured in times.items():
                columns[stitch] |= _columns(measured, batch, throughput=batch == largest)
    return columns


@dataclass(frozen=True)
class _Bench:
    """The replica under test and the stitches to visit."""

    replica: SNNet
    routes: tuple[Stitch, ...]
    conditions: Conditions
    order: random.Random

    def round(self, images: Tensor) -> Iterator[tuple[str, float]]:
        """Run every stitch once, in random order; yield its id and milliseconds."""
        for route in self.order.sample(self.routes, len(self.routes)):
            self._synchronize()
            start = perf_counter()
            self.replica(images, route)
            self._synchronize()
            yield route.id, 1e3 * (perf_counter() - start)

    def _synchronize(self) -> None:
        # Accelerators run behind: without this only the launch would be timed.
        if self.conditions.device.type != "cpu":
            torch.accelerator.synchronize(self.conditions.device)


def _columns(times: Sequence[float], batch: int, *, throughput: bool) -> dict[str, float]:
    """Summarize the milliseconds of one stitch at one batch size."""
    suffix = "" if batch == 1 else f"@{batch}"
    tail = quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    found = {f"latency_ms{suffix}": median(times), f"latency_ms_p95{suffix}": tail}
    return found | ({"throughput": 1e3 * batch / median(times)} if throughput else {})


def _replica(net: SNNet, conditions: Conditions) -> SNNet:
    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(conditions.device, conditions.dtype if tensor.is_floating_point() else tensor.dtype)

    return replicate(net, convert)


def _images(net: SNNet, batch: int, conditions: Conditions, seed: int) -> Tensor:
    """Return random images `(batch, C, H, W)`."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, *net.input.size, generator=generator)
    return images.to(conditions.device, conditions.dtype)


def _check_numbers(batch_sizes: Sequence[int], warmup: int, repeats: int, threads: int | None) -> None:
    faults = [f"batch size {size}; accepted: 1 and more" for size in batch_sizes if size < 1]
    faults += [] if batch_sizes else ["no batch size; give at least one, such as (1,)"]
    faults += [f"warmup {warmup}; accepted: 0 and more"] if warmup < 0 else []
    faults += [f"repeats {repeats}; accepted: 1 and more"] if repeats < 1 else []
    faults += [f"threads {threads}; accepted: 1 and more, or None"] if threads is not None and threads < 1 else []
    if faults:
        raise RecipeError(f"Latency cannot be measured with {'; with '.join(faults)}.")


@contextmanager
def _set_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)

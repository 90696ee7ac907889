"""The parts of `benchmarks/gpu.py`: what each measures, as rows that are told as soon as they are known."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from snnet.anchors import AnchorLike, AnchorSource
from snnet.init import initialize
from snnet.network import SNNet, stitch
from snnet.profiling import MeasureSettings, find_meter, profile
from snnet.runtime import Governor, Runtime, Setting
from snnet.runtime.engines import CompileEngine, Conditions, EagerEngine
from snnet.space import Stitch
from snnet.training import CHECKPOINTS, SAMPLERS, OptimSettings, RunSettings, Trainer
from snnet.utils import Precision

LARGE: dict[str, tuple[AnchorLike, ...]] = {
    "deit": ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224"),
    "swin": ("swin_tiny_patch4_window7_224", "swin_small_patch4_window7_224", "swin_base_patch4_window7_224"),
}
_TINY = {"depth": 3, "num_heads": 2, "img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10}
SMALL: dict[str, tuple[AnchorLike, ...]] = {
    "deit": tuple(AnchorSource.of("vit_tiny_patch16_224", embed_dim=width, **_TINY) for width in (16, 32))
}


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        device: `cuda`, or `cpu` in miniature.
        families: Anchors, by family.
        batch: Images at once where throughput counts, in training, too.
        images: Images of the calibration.
        rounds: Calls that are timed; a tenth as many come before.
    """

    device: torch.device
    families: dict[str, tuple[AnchorLike, ...]]
    batch: int
    images: int
    rounds: int

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU of NVIDIA's."""
        return self.device.type == "cuda"

    def network(self, family: str = "deit") -> SNNet:
        """Return a family with random weights; nothing is fetched."""
        torch.manual_seed(0)
        return stitch(*self.families[family], pretrained=False).eval()

    def wait(self) -> None:
        """Wait until the GPU has done all it was given."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def once(self, run: Callable[[], object]) -> float:
        """Return the milliseconds of one call."""
        self.wait()
        start = perf_counter()
        run()
        self.wait()
        return 1e3 * (perf_counter() - start)

    def milliseconds(self, run: Callable[[], object]) -> float:
        """Return the median of many calls, after some that do not count."""
        times = [self.once(run) for _ in range(self.rounds + max(self.rounds // 10, 2))]
        return median(times[-self.rounds :])


Row = dict[str, Any]
Part = Callable[[Scale], Iterator[Row]]
NEEDS_GPU = "needs a GPU"


def throughput(scale: Scale) -> Iterator[Row]:
    """Compare anchors and eight stitches, as plain PyTorch runs them in bf16, with the models alone in both layouts."""
    for family in scale.families:
        net = scale.network(family)
        engine = EagerEngine(net, Conditions.of(net, scale.device, "bf16"))
        images = _images(net, scale.batch, scale.device, torch.bfloat16)
        for number, route in enumerate(_some(net, 4)):
            ready = engine.load(route)
            ours = scale.batch * 1e3 / scale.milliseconds(partial(ready, images))
            row: Row = {"what": f"{family} {route}", "ours": ours, "unit": "images/s"}
            if route.is_anchor:
                row["plain"], row["note"] = _plain_throughput(scale, net.anchor(number).model, images)
            yield row


def compiled(scale: Scale) -> Iterator[Row]:
    """Compare stitches that are compiled, on a GPU replayed as CUDA graphs, with plain PyTorch, alone and at once."""
    net = scale.network()
    conditions = Conditions.of(net, scale.device, "bf16")
    graphs = "CUDA graphs" if scale.on_gpu else f"CUDA graphs: {NEEDS_GPU}"
    engine, eager = CompileEngine(net, conditions, batch_sizes=()), EagerEngine(net, conditions)
    for batch in (1, scale.batch) if scale.on_gpu else (1,):
        images = _images(net, batch, scale.device, torch.bfloat16)
        for route in _some(net, 2) if scale.on_gpu else net.space[:1]:
            start = perf_counter()
            ready, plain = engine.load(route), eager.load(route)
            ready.prepare(images)
            seconds = perf_counter() - start
            error = (ready(images) - plain(images)).abs().max() / plain(images).abs().max()
            yield {
                "what": f"deit {route} at batch {batch}",
                "ours": batch * 1e3 / scale.milliseconds(partial(ready, images)),
                "plain": batch * 1e3 / scale.milliseconds(partial(plain, images)),
                "unit": "images/s",
                "note": f"ready in {seconds:.1f} s, error {float(error):.1e}, {graphs}",
            }


def training(scale: Scale) -> Iterator[Row]:
    """Compare training steps of DeiT's anchors and stitches in bf16 with a plain loop over the model alone."""
    net = scale.network()
    batches = OneBatch(net, scale.batch, scale.device)
    for number, route in enumerate(_some(net, 3)):
        rates: list[float] = []
        ours, memory = _peak(scale, partial(_train, scale, net, batches, route, rates))
        row: Row = {"what": f"{route}", "ours": ours, "unit": "images/s", "note": f"{memory}"}
        if route.is_anchor:
            row["plain"], memory = _peak(scale, partial(_train_plain, scale, net.anchor(number).model, batches))
            row["note"] += f", plain {memory}"
        yield row


def least_squares(scale: Scale) -> Iterator[Row]:
    """Time the initialization of DeiT's stitching layers."""
    net = scale.network()
    images = _images(net, scale.images, torch.device("cpu"), torch.float32)
    report = initialize(net, images, device=scale.device, batch_size=50, progress=False)
    worst = max(fit.relative_residual for fit in report.layers)
    yield {"what": f"{report.images} images", "ours": report.images / report.seconds, "unit": "images/s"}
    yield {"what": "largest relative residual", "ours": worst, "unit": "of 1"}


def resume(scale: Scale) -> Iterator[Row]:
    """Train in mixed precision, go on from the middle, and say how far apart both ends are."""
    precisions: tuple[Precision, ...] = ("bf16", "fp16")
    for precision in precisions:
        if precision == "fp16" and not scale.on_gpu:
            yield {"what": precision, "note": NEEDS_GPU}
            continue
        with tempfile.TemporaryDirectory() as folder:
            whole, again = Path(folder) / "whole", Path(folder) / "again"
            first = _run(scale, whole, precision)
            shutil.copytree(whole, again)
            newest = max((again / CHECKPOINTS).iterdir(), key=lambda file: file.stat().st_mtime)
            newest.unlink()
            second = _run(scale, again, precision)
        apart = max(float((first[name] - second[name]).abs().max()) for name in first)
        note = "bit for bit" if apart == 0 else "within rounding: GPU kernels add in any order"
        yield {"what": f"{precision}, largest difference of a weight", "ours": apart, "unit": "", "note": note}


def energy(scale: Scale) -> Iterator[Row]:
    """Read the energy of each anchor three times: how much it differs is what the meter is worth."""
    if not scale.on_gpu:
        yield {"what": "NVML", "note": NEEDS_GPU}
        return
    meter, name = find_meter(scale.device)
    if meter is None:
        raise RuntimeError(name)
    net = scale.network()
    settings = MeasureSettings((scale.batch,), warmup=2, repeats=10)
    readings = [
        profile(net, stitches="anchors", settings=settings, device=scale.device, precision="bf16", progress=False)
        for _ in range(3)
    ]
    for route in net.space.where(max_segments=1):
        found = [table[route].values[f"energy_mj@{scale.batch}"] for table in readings]
        note = f"{min(found):.0f} to {max(found):.0f} in three readings by {name}"
        yield {"what": f"{route} at batch {scale.batch}", "ours": median(found), "unit": "mJ", "note": note}


def serving(scale: Scale) -> Iterator[Row]:
    """Answer calls while the budget halves and comes back, and count those that took longer than it."""
    net = scale.network()
    settings = MeasureSettings(warmup=2, repeats=10, energy=False)
    profile(net, stitches="anchors", settings=settings, device=scale.device, progress=False)
    assert net.table is not None
    net.table = net.table.with_column("top1", {row.stitch: float(row.index) for row in net.table})
    anchors = [net.table[route] for route in net.space.where(max_segments=1)]
    images = _images(net, 1, scale.device, torch.float32)
    engine = EagerEngine(net, Conditions.of(net, scale.device))
    largest, least = (kind(row.latency_ms for row in anchors) for kind in (max, min))
    with Runtime(net, engine, stitches=[row.stitch for row in anchors]) as runtime:
        runtime.wait_ready(progress=False)
        budget = Setting(2 * largest)
        governor = Governor(runtime, budget, dwell=0.0)
        late = 0
        for limit in (2 * largest, (least + largest) / 2, 2 * largest):
            budget.value = limit
            for _ in range(scale.rounds):
                took = scale.once(partial(governor, images))
                late += took > limit
        counted = runtime.counters()
    engine.close()
    yield {"what": "calls", "ours": counted.calls, "unit": "", "note": f"{late} later than their budget"}
    yield {"what": "switches", "ours": counted.switches, "unit": "", "note": f"{counted.substituted} substituted"}


PARTS: dict[str, tuple[Part, float]] = {
    "throughput": (throughput, 60),
    "compiled": (compiled, 90),
    "training": (training, 60),
    "least_squares": (least_squares, 45),
    "resume": (resume, 40),
    "energy": (energy, 30),
    "serving": (serving, 30),
}
"""Name -> what measures, and the seconds it may take: together less than six minutes."""


class OneBatch:
    """The same batch again and again, where it is used: reading data is not what is measured."""

    def __init__(self, net: SNNet, batch: int, device: torch.device) -> None:
        self.images = _images(net, batch, device, torch.float32)
        self.labels = torch.arange(batch, device=device) % net.num_classes

    def __len__(self) -> int:
        return 1000

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        """Yield it."""
        for _ in range(start_batch, len(self)):
            yield self.images, self.labels


def _images(net: SNNet, batch: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    images = torch.randn(batch, *net.input.size, generator=torch.Generator().manual_seed(0))
    return images.to(device, dtype)


def _some(net: SNNet, stitched: int) -> list[Stitch]:
    """Return the anchors, and stitches that are spread evenly over the space."""
    anchors, others = net.space.where(max_segments=1), net.space.where(lambda route: not route.is_anchor)
    picks = [len(others) * (2 * number + 1) // (2 * stitched) for number in range(stitched)]
    return [*anchors, *(others[pick] for pick in picks)]


def _plain_throughput(scale: Scale, model: nn.Module, images: Tensor) -> tuple[float, str]:
    """Return the images per second of a model alone in the faster layout, and those of both."""
    found = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        plain = deepcopy(model).to(scale.device, torch.bfloat16, memory_format=layout)
        given = images.to(memory_format=layout)
        with torch.inference_mode():
            found[layout] = len(images) * 1e3 / scale.milliseconds(partial(plain, given))
    flat, last = found.values()
    return max(flat, last), f"plain: {flat:,.0f} contiguous, {last:,.0f} channels last"


def _peak(scale: Scale, run: Callable[[], float]) -> tuple[float, str]:
    """Return what a run gives, and the most GPU memory that it held, in words."""
    if not scale.on_gpu:
        return run(), f"memory {NEEDS_GPU}"
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(scale.device)
    found = run()
    return found, f"{torch.cuda.max_memory_allocated(scale.device) / 1e9:.1f} GB"


def _train(scale: Scale, net: SNNet, batches: OneBatch, route: Stitch, times: list[float]) -> float:
    settings = RunSettings(steps=scale.rounds, precision="bf16", device=scale.device.type, trackers=())
    trainer = Trainer(net, batches, run=settings, sampler=SAMPLERS.get("single")(net.space, route.id))

    def note(*_: object) -> None:
        scale.wait()
        times.append(perf_counter())

    trainer.fit(progress=note)
    return len(batches.labels) / median(after - before for before, after in pairwise(times))


def _train_plain(scale: Scale, model: nn.Module, batches: OneBatch) -> float:
    model = deepcopy(model).to(scale.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(scale.device.type, torch.bfloat16):
            loss = nn.functional.cross_entropy(model(batches.images), batches.labels)
        loss.backward()
        optimizer.step()

    return len(batches.labels) * 1e3 / scale.milliseconds(step)


def _run(scale: Scale, directory: Path, precision: Precision) -> dict[str, Tensor]:
    """Train a small network, or go on with it, and return its weights."""
    torch.manual_seed(0)
    net = stitch(*SMALL["deit"], pretrained=False)
    settings = RunSettings(
        steps=8, save_every=4, keep=4, precision=precision, device=scale.device.type, trackers=(), log_every=1
    )
    batches = OneBatch(net, 16, torch.device("cpu"))
    Trainer(net, batches, run=settings, optim=OptimSettings(lr=1e-3), directory=directory).fit(
        resume=(directory / CHECKPOINTS).exists(), progress=False
    )
    return {name: tensor.detach().cpu().clone() for name, tensor in net.state_dict().items()}

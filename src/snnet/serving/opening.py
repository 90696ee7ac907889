# Tested in tests/serving/test_service.py.
"""From a saved network, or a bundle, to workers that are measured, and what decides what they run."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from snnet.errors import BudgetError, SNNetError
from snnet.export.bundle import MANIFEST, Bundle
from snnet.serving.dispatcher import Dispatcher, Hearing
from snnet.serving.options import Options
from snnet.serving.plans import Plans
from snnet.serving.policy import POLICIES
from snnet.serving.processes import ProcessWorker
from snnet.serving.queue import DeadlineQueue
from snnet.serving.scheduler import Scheduler
from snnet.serving.template import Template
from snnet.serving.timing import TIMES, kept_latencies, measure_latencies
from snnet.serving.workers import ThreadWorker, Worker
from snnet.space import InputSpec, OutputSpec
from snnet.table import (
    COST,
    StitchTable,
    facts_of,
    load_precisions,
    pareto_frontier,
    precisions_of,
    without_profile,
)
from snnet.utils import Settings, Show, file_digest, versions, versions_of

if TYPE_CHECKING:
    from snnet.network import SNNet


class ServiceSettings(Settings):
    """How a service answers."""

    refused_with: ClassVar[type[SNNetError]] = BudgetError

    slo_ms: float = Field(100.0, gt=0, description="milliseconds within which a request without a deadline is answered")
    policy: str = Field("elastic", description="what decides which stitch answers how many requests")
    workers: int = Field(1, ge=1, le=256, description="batches that run at once")
    threads: int = Field(1, ge=1, description="threads of each of them")
    processes: bool = Field(False, description="run workers as processes, which map one weights file (bundles only)")
    cores: tuple[int, ...] = Field((), description="cores for worker processes, dealt out in turn; any by default")
    engine: str | None = Field(None, description="what runs stitches of a network, eager by default")
    device: str = Field("cpu", description="where a network runs, such as cuda")
    precisions: tuple[str, ...] | None = Field(
        None, description="what stitches may run in beside the network's own, such as bf16; all that were evaluated"
    )
    max_batch: int = Field(32, ge=1, description="images of a batch at most")
    queue: int = Field(1000, ge=1, description="requests that may wait; others are refused")
    transport_ms: float = Field(2.0, ge=0, description="milliseconds of each deadline that are kept for the way back")

    def allowance(self, deadline_ms: float | None = None) -> float:
        """Return the seconds in which a request is to be answered here, with the way back off.

        Args:
            deadline_ms: Milliseconds that its caller gives it, if any.
        """
        return max(0.0, (self.slo_ms if deadline_ms is None else deadline_ms) - self.transport_ms) / 1e3


USUAL_SERVICE = ServiceSettings()
"""The defaults."""


@dataclass(frozen=True)
class Version:
    """What answers now."""

    number: int
    source: Path
    input: InputSpec
    classes: Sequence[str] | None
    class_count: int
    output: OutputSpec
    table: StitchTable
    options: Options
    dispatcher: Dispatcher


def open_version(source: Path, settings: ServiceSettings, hear: Hearing, progress: Show, *, number: int) -> Version:
    """Open what is served, start its workers, and measure them unless that was done before.

    Args:
        source: Directory of a saved network, or of a bundle.
        settings: How it answers.
        hear: Is told what became of each request.
        progress: Told how far the measuring is.
        number: Of the version.

    Raises:
        BudgetError: If no stitch has a score, or a setting does not fit the source.
        CheckpointError: If a network cannot be read; ExportError for a bundle.
        EngineError: If the workers do not start.
    """
    model, of, engine = _model(source, settings)
    count = model.manifest.num_classes if isinstance(model, Bundle) else model.num_classes
    table = _to_serve(_known(model, source), source, settings.precisions)
    given = (count, *model.input.size[1:]) if model.output.dense else (count,)
    workers = _workers(model, source, table, settings, engine, (model.input.size, given, settings.max_batch))
    try:
        facts = _facts(of, settings, engine)
        times = kept_latencies(source / TIMES, table, facts)
        if times is None:
            times = measure_latencies(
                workers[0],
                table,
                model.input.size,
                largest=settings.max_batch,
                longest=max(1.0, 4 * settings.slo_ms / 1e3),
                facts=facts,
                progress=progress,
            )
            # A place that cannot be written is no reason not to serve: it is measured again next time.
            with suppress(OSError, SNNetError):
                times.save(source / TIMES)
        options = Options.of(times, max_batch=settings.max_batch)
        plans = Plans(beside=True)
        scheduler = Scheduler(options, settings.policy, queue=DeadlineQueue(settings.queue), plans=plans)
        # Until a policy has worked out what a rate of arrivals asks for, its decisions are not the best.
        scheduler.prepare(settings.allowance(), settings.workers)
    except BaseException:
        for worker in workers:
            worker.close()
        raise
    return Version(
        number,
        source,
        model.input,
        model.classes,
        count,
        model.output,
        times,
        options,
        Dispatcher(scheduler, workers, hear),
    )


def check_source(source: Path, settings: ServiceSettings) -> None:
    """Refuse what cannot be served, without starting a worker.

    Args:
        source: Directory of a saved network, or of a bundle.
        settings: How it is to answer.

    Raises:
        BudgetError: If no stitch has a score, or a setting does not fit the source.
        CheckpointError: If a network cannot be read; ExportError for a bundle.
    """
    # Where it is looked at need not have the device that it runs on.
    model, *_ = _model(source, settings.model_copy(update={"device": "cpu"}))
    _to_serve(_known(model, source), source, settings.precisions)


def _model(source: Path, settings: ServiceSettings) -> "tuple[Bundle | SNNet, Path, str]":
    """Return what is served, the file that says which it is, and the engine; what does not fit is refused before."""
    POLICIES.get(settings.policy)
    if (source / MANIFEST).is_file():
        engine = "onnxruntime"
        if settings.engine not in (None, engine):
            raise BudgetError(f"A bundle runs on {engine}, and {settings.engine} was asked for; leave the engine out.")
        return Bundle.open(source), source / MANIFEST, engine
    if settings.processes:
        raise BudgetError(
            f"Processes run a bundle, and {source} is none; `snnet export {source} --format onnx-bundle --output DIR` "
            "writes one."
        )
    from snnet.network import CONFIG, load

    return load(source).to(settings.device), source / CONFIG, settings.engine or "eager"


def _known(model: "Bundle | SNNet", source: Path) -> StitchTable | None:
    """Return what is known of stitches, in all precisions that they can run in."""
    if isinstance(model, Bundle) or model.table is None:
        return model.table
    from snnet.network import TABLE

    return load_precisions(source / TABLE)


def _to_serve(table: StitchTable | None, source: Path, precisions: Sequence[str] | None) -> StitchTable:
    """Return the stitches that answer: the frontier of each precision, for none beats another where both were slow."""
    if table is None or not any(table.score in row.values for row in table):
        raise BudgetError(f"{source} does not say how good its stitches are; `snnet evaluate {source}` measures them.")
    scored = table.where(lambda row: table.score in row.values)
    known = precisions_of(scored)
    for name in precisions or ():
        if name not in known:
            raise BudgetError(
                f"{source} does not say how good its stitches are in {name}; `snnet evaluate {source} --precision "
                f"{name}` measures them, and exporting a bundle with --quantize and --keep-float those in int8."
            )
    served = [name for name in known if not name or precisions is None or name in precisions]
    parts = (scored.where(lambda row, name=name: row.precision == name) for name in served)  # type: ignore[misc]
    best = {row.stitch for part in parts for row in pareto_frontier(part, COST)}
    # What was measured otherwise would stand beside what is measured here, at batch sizes that are not.
    return without_profile(table).where(lambda row: row.stitch in best)


def _workers(
    model: "Bundle | SNNet",
    source: Path,
    table: StitchTable,
    settings: ServiceSettings,
    engine: str,
    sizes: tuple[tuple[int, ...], tuple[int, ...], int],
) -> list[Worker]:
    stitches = [row.stitch for row in table]
    if settings.processes:
        cores = [settings.cores[number :: settings.workers] for number in range(settings.workers)]
        started, template = list[Worker](), Template(source, stitches, settings.threads)
        try:
            for own in cores:
                started.append(ProcessWorker(template, sizes, cores=own))
        except BaseException:
            for worker in started:
                worker.close()
            template.close()
            raise
        return started
    import torch

    from snnet.runtime import Runtime

    torch.set_num_threads(settings.threads)
    runtime = Runtime(model, engine, stitches=stitches, profile=table, cost=COST, batch_sizes=(1,), any_machine=True)
    runtime.wait_ready(progress=False)
    return [ThreadWorker(runtime) for _ in range(settings.workers)]


def _facts(of: Path, settings: ServiceSettings, engine: str) -> dict[str, Any]:
    """Return what latencies depend on."""
    conditions = {"device": settings.device, "precision": "fp32", "threads": settings.threads}
    # Torch is not loaded for its version where worker processes run without it.
    packages = versions_of("snnet", engine) if settings.processes else versions(engine)
    return {
        **facts_of(engine, conditions, "fp32", packages),
        "method": "processes" if settings.processes else "threads",
        "cores": list(settings.cores),
        "network": file_digest(of),
    }

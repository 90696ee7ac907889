"""`snnet experiment`: the experiments of the paper, each one command."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from snnet.cli.console import heard_or_not, loading, progress, say, show, show_table
from snnet.cli.options import Directory, parse_overrides
from snnet.cli.sources import read_table
from snnet.errors import RecipeError

if TYPE_CHECKING:
    from snnet.recipes.paper import Outcome


def experiment(
    name: Annotated[str | None, Parameter(show_default=False)] = None,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    output: Directory | None = None,
    scale: Literal["embedded", "imagenet"] = "embedded",
    seed: int | None = None,
    network: tuple[str, ...] = (),
    models: Path | None = None,
) -> None:
    """Repeat an experiment of Stitchable Neural Networks (arXiv 2302.06586); without a name, list them.

    Runs every variant, draws one picture, writes a table, and says whether the numbers confirm what the paper
    observes. Any setting of a recipe can be given as a flag, --section.key value, and holds for all variants. Whatever
    is interrupted goes on when the same command is given again; what is finished is not repeated, and experiments in
    one output share the runs that they have in common.

    Args:
        name: A figure or table of the paper (figure-6, table-1), or what it is about (initialization, epochs).
        output: Directory for pictures, tables and runs.
        scale: embedded (small models and images of the package, minutes on a CPU) or imagenet (the paper's models and
            settings; needs a GPU, weights from the hub, and --data.root).
        seed: Short for --run.seed.
        network: For figure-2: table of a stitched network, or its directory; may be given several times. By default the
            published DeiT and Swin networks.
        models: For figure-2: CSV file of individual models with columns model, img_size, top1, params_m, gmacs. By
            default those of timm on ImageNet-1K.

    Examples:
        snnet experiment
        snnet experiment figure-9 --output runs/paper
        snnet experiment epochs --output runs/paper --run.steps 200 --seed 1
        snnet experiment figure-6 --scale imagenet --data.root /data/imagenet --output runs/imagenet
        snnet experiment figure-2 --network runs/imagenet/runs/deit_ti_s_b-0a1b2c3d --output runs/imagenet
    """
    from snnet.recipes.paper import CHART, find_experiments

    if name is None:
        _list()
        return
    if output is None:
        raise RecipeError("Give --output DIR, where pictures, tables and runs go.")
    if name == CHART:
        _chart(network, models, output, overrides)
        return
    if network or models:
        raise RecipeError(f"--network and --models belong to {CHART}, not to {name}.")
    settings = parse_overrides(overrides, {"run.seed": seed})
    chosen = find_experiments(name)
    loading()
    from snnet.recipes.paper import Bench, perform

    bench = Bench(output, scale, settings, stage=progress, say=say)
    for stem, one in chosen.items():
        with heard_or_not():
            show(f"{one.title}. The paper observes: {one.observation}")
        outcome = perform(one, bench, stem, _command(one.name, scale, settings))
        with heard_or_not():
            _show_outcome(outcome)


def _show_outcome(outcome: "Outcome") -> None:
    from snnet.recipes.paper import MEASURES, shown

    # What the verdict compares, by the same names.
    rows = [
        [label, str(len(table)), *(shown(measure.of(table, outcome.budgets)) for measure in MEASURES.values())]
        for label, table in outcome.tables.items()
    ]
    show_table(["variant", "routes", *(measure.heading for measure in MEASURES.values())], rows, left=("variant",))
    show(f"Verdict: {outcome.verdict.words}")
    for finding in outcome.verdict.findings:
        show(f"  {finding}")
    for path in outcome.files:
        show(f"Written {path}")


def _command(name: str, scale: str, settings: dict[str, Any]) -> str:
    flags = "".join(f" --{key} {_text(value)}" for key, value in settings.items() if key != "data.root")
    root = " --data.root ROOT" if "data.root" in settings else ""
    return f"snnet experiment {name}{'' if scale == 'embedded' else f' --scale {scale}'}{root}{flags} --output DIR"


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else "null" if value is None else str(value)


def _chart(network: Sequence[str], models: Path | None, output: Path, overrides: Sequence[str]) -> None:
    from snnet.recipes.paper import TIMM_MODELS, published_table, write_chart

    if overrides:
        raise RecipeError(f"figure-2 trains nothing and takes no settings; leave out {' '.join(overrides)}.")
    published = {"SN-Net, DeiT-Ti/S/B": "deit_ti_s_b", "SN-Net, Swin-Ti/S/B": "swin_ti_s_b"}
    tables = {label: published_table(name) for label, name in published.items()}
    if network:
        tables = {source: read_table(source) for source in network}
    for path in write_chart(tables, output, models=models or TIMM_MODELS):
        show(f"Written {path}")


def _list() -> None:
    from snnet.recipes.paper import CHART, EXPERIMENTS, place_of

    rows = [[place_of(name) or "-", name, one.title] for name, one in EXPERIMENTS.items()]
    rows.append([CHART, CHART, "Stitched networks among individual models, as an interactive page"])
    show_table(["in the paper", "name", "what"], rows, left=("in the paper", "name", "what"))
    show("Each is run by either name: snnet experiment NAME --output DIR")

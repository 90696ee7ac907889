"""`snnet train`: train all stitches at once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, scores_of, show, show_choices, show_gain, show_rows
from snnet.cli.options import data_of, parse_overrides
from snnet.cli.sources import is_network, names_published
from snnet.errors import RecipeError
from snnet.table import StitchTable, column, kinds_of
from snnet.utils import counted

if TYPE_CHECKING:
    from snnet.recipes import Recipe


def train(
    source: Annotated[str | None, Parameter(show_default=False)] = None,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    output: Path | None = None,
    data: str | None = None,
    root: Path | None = None,
    settings: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Train all stitches of a network at once: one drawn at random each step.

    A recipe says everything: anchors, images, augmentation, optimizer, length. Any of its settings can be given as a
    flag, --section.key value, and wins over the file; --settings lists them all. --recipe default, windows or paper
    sets stitches, sampler, loss and the anchors' rate at once, to a method that comes with the package. With the
    default a family is searched for the stitches worth training, and the network before training lies in searched/ of
    the output; with the others it is stitched and initialized. A saved network is trained as it is, for 10 epochs and
    on the images of the run that made it unless you say otherwise. Where there is batch norm, its running statistics
    are measured for each stitch before it is evaluated.

    If the output holds a checkpoint of the same settings, training goes on from there, to the same result bit for
    bit (on a CPU). The output becomes a saved network with its table, next to logs and checkpoints.

    Started in several processes by torchrun, each takes its part of every batch; how many does not change the result,
    and may change when training goes on.

    Args:
        source: A recipe file, the name of a recipe in the package (embedded_vit, folder, folder_deit, deit_ti_s_b),
            the directory of a saved network, or FAMILY@FILE for a published one.
        output: Directory of the run.
        data: Short for --data.name: embedded, folder, wds/NAME, torchvision/NAME, or a timm name such as hfds/NAME.
        root: Short for --data.root, the folder of the data.
        settings: List every setting of a recipe with its default, and stop.

    Examples:
        snnet train folder --data.root /path/to/images --output runs/mine
        snnet train runs/fm --data embedded --output runs/fm-trained --run.epochs 5
        snnet train recipes/deit_ti_s_b.yaml --data.root /data/imagenet --output runs/deit --optim.lr 5e-5
        snnet train embedded_vit --recipe paper --output runs/paper
        snnet train --settings
    """
    loading()
    from snnet.recipes import Recipe, open_run

    if settings:
        _list_settings()
        return
    if source is None or output is None:
        raise RecipeError("Name a recipe or a saved network, and --output DIR; see `snnet train --help`.")
    told = parse_overrides(overrides, {"data.name": data, "data.root": root})
    is_saved = is_network(source) or names_published(source)
    recipe = data_of(source, told).recipe if is_saved else Recipe.load(source, told)
    saved = recipe.network.saved
    if saved is not None and output.resolve() == saved.resolve():
        raise RecipeError(f"{output} is the network to be trained; choose another --output, which keeps it as it is.")
    say(f"Looking at the images, {recipe.data.name}, and at the network ...", style="dim")
    with open_run(recipe, output, stage=progress, say=say) as run:
        parts = run.parts
        say(f"{parts.net.space.counts} on {parts.device}")
        if parts.new_heads:
            say(f"The anchors begin with fresh classifiers, for {parts.new_heads}.")
        _show_end(run.finish(), recipe, output)
        for batches in (parts.train, parts.validation):
            if len(batches.skipped):
                say(batches.skipped.summary)


def _show_end(table: StitchTable | None, recipe: "Recipe", output: Path) -> None:
    show(f"Network saved in {output}")
    if table is None:
        return
    show_gain(table)
    show_rows(table.anchors, names=[*(kind.name for kind in kinds_of("cost")), *scores_of(table)])
    if len(table.stitched):
        known, scores = column(table.score), [row.values[table.score] for row in table.stitched]
        ends = f"{known.text(min(scores))} to {known.text(max(scores))}"
        show(f"{counted(len(scores), 'other stitch')}: {known.heading} {ends}")
        show_choices(table, recipe.evaluation.budgets or _some_budgets(table))
    show(f"Next: snnet report {output} --output {output / 'report'}, or snnet select {output} --macs N")


def _some_budgets(table: StitchTable) -> list[float]:
    """Return round budgets a quarter, half and three quarters of the way from the cheapest stitch to the largest."""
    costs = [row.macs for row in table]
    steps = (min(costs) + part * (max(costs) - min(costs)) for part in (0.25, 0.5, 0.75))
    return [float(f"{cost:.2g}") for cost in steps]


def _list_settings() -> None:
    from snnet.recipes import Recipe
    from snnet.utils import setting_names

    rows = [(name, _shown(default), about) for name, about, default in setting_names(Recipe)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, default, about in rows:
        show(f"{name:<{first}}  {default:<{second}}  {about}")


def _shown(default: object) -> str:
    if default is None:
        return "null"
    if isinstance(default, tuple):
        return ",".join(f"{part:.3g}" if isinstance(part, float) else str(part) for part in default)
    return str(default).lower() if isinstance(default, bool) else str(default)

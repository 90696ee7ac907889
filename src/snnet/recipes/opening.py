# Tested in tests/recipes/test_run.py.
"""A recipe and a directory become a run, whose steps may be taken within a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snnet.errors import RecipeError
from snnet.recipes.build import build_parts
from snnet.recipes.preflight import check_start
from snnet.recipes.recipe import Recipe
from snnet.recipes.run import Run
from snnet.recipes.run_directory import check_directory, claim_directory
from snnet.recipes.searched import SEARCHED, kept_routes
from snnet.utils import Stage, from_first, joined, silent, torch_threads


@contextmanager
def open_run(
    recipe: Recipe, directory: Path, *, stage: Stage = silent, say: Callable[[str], None] | None = None
) -> Iterator[Run]:
    """Build the parts of a recipe and claim a directory, within a block in which its threads and processes work.

    Args:
        recipe: What is run.
        directory: Where it goes; a run of the same settings that lies there goes on.
        stage: Shows progress.
        say: Told in words what a user should know.

    Raises:
        RecipeError: If the directory holds another run.
        SNNetError: If something that the recipe names does not exist or does not fit.
    """
    faults = check_start(recipe, directory)
    with joined(recipe.run.device), torch_threads(recipe.run.threads):
        with faults:
            from_first(lambda: check_directory(recipe, directory))
        parts = build_parts(recipe, faults)
        begun = from_first(lambda: claim_directory(recipe, directory))
        run = Run(parts, directory, begun, stage, say)
        if begun:
            run.train_first()
        if begun and recipe.routes is not None and not kept_routes(parts, directory):
            raise RecipeError(
                f"{directory / SEARCHED}, the network before training, is gone or another; begin again in another "
                "directory."
            )
        yield run

"""The search that a run begins with; its network is kept beside the run, and is of use while training goes on."""

from contextlib import suppress
from pathlib import Path

import torch

from snnet.data import calibration_images
from snnet.errors import SNNetError
from snnet.network import SNNet, load
from snnet.profiling import count_costs
from snnet.recipes.parts import Parts
from snnet.recipes.recipe_file import differences
from snnet.recipes.run_directory import RECIPE, is_free, recorded_recipe
from snnet.searching import SCORES, SEARCH, SearchReport, search
from snnet.space import StitchSpace
from snnet.utils import Show, copy_from_first, from_first, share

SEARCHED = "searched"
# What decides how a search ends.
_DECIDES = ("network.", "data.", "routes.", "run.seed", "task.", "head.", "first.")


def find_routes(parts: Parts, directory: Path, progress: Show) -> SearchReport:
    """Search on clean training images, without their labels, and keep the network as it is then in `SEARCHED`."""
    section, net, seed = parts.recipe.routes, parts.net, parts.recipe.run.seed
    assert section is not None
    images = calibration_images(parts.images, section.images, seed)
    kept = directory / SEARCHED / SCORES if share().is_first else None
    report = search(net, images, **section.keywords, seed=seed, device=parts.device, path=kept, progress=progress)
    # Each process has computed the same, but for the last bits where machines differ.
    parts.use(from_first(lambda: net.space))
    copy_from_first(net.state_dict().values())
    if share().is_first:
        place = directory / SEARCHED
        count_costs(net)
        net.save_pretrained(place)
        parts.recipe.save(place / RECIPE)
        # The last file says that all of them are there.
        report.save(place)
    return report


def kept_routes(parts: Parts, directory: Path) -> bool:
    """Take over what an earlier call found, if there is all of it and it would come out again; return whether."""
    kept: SNNet | None = None

    def kept_space() -> StitchSpace | None:
        nonlocal kept
        kept = _kept_network(parts, directory / SEARCHED)
        return None if kept is None else kept.space

    space = from_first(kept_space)
    if space is None:
        return False
    parts.use(space)
    if kept is not None:
        parts.net.layers.load_state_dict(kept.layers.state_dict())
    copy_from_first(parts.net.state_dict().values())
    return True


def _kept_network(parts: Parts, place: Path) -> SNNet | None:
    if not (place / f"{SEARCH}.jsonl").is_file():
        return None
    # What is damaged, or of other models by the same names, is searched for anew.
    with suppress(SNNetError):
        changed = differences(recorded_recipe(place / RECIPE), parts.recipe)
        kept, now = load(place), parts.net.anchors.state_dict()
        same = all(torch.equal(value, now[name]) for name, value in kept.anchors.state_dict().items())
        if same and not any(name.startswith(_DECIDES) and not is_free(name) for name in changed):
            return kept
    return None

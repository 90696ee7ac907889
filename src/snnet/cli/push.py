"""`snnet push`: a saved network, with its card and picture, to the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from snnet.cli.console import show
from snnet.cli.options import writable
from snnet.cli.sources import is_network, saved_network
from snnet.errors import CheckpointError


def push(
    source: Path,
    repo_id: str,
    *,
    recipe: Path | None = None,
    private: Annotated[bool, Parameter(negative="")] = False,
    card_only: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Upload a saved network with its table, a model card and the picture of its curve.

    The card lists the anchors with their licenses, the space, and the frontier of what was measured.

    Args:
        source: Directory of a saved network, or FAMILY@FILE for a published one.
        repo_id: Repository on the hub, ORG/NAME; made if it does not exist.
        recipe: YAML file of the recipe that trained the network; only shown if given, since it may name your folders.
        private: Make a new repository private.
        card_only: Write card and picture into the directory, replacing what stands there, and upload nothing.

    Examples:
        snnet push runs/fm ORG/NAME
        snnet push runs/fm ORG/NAME --recipe recipe.yaml --private
        snnet push runs/fm ORG/NAME --card-only
    """
    if card_only and not is_network(str(source)):
        raise CheckpointError(f"{source} is no directory to write a card in; --card-only needs a saved network.")
    if card_only:
        writable(source)
    net = saved_network(str(source))
    from snnet.network import push_to_hub, write_card

    if card_only:
        show(f"Written to {write_card(net, source, repo_id=repo_id, recipe=recipe)}")
        return
    show(f"Uploaded: {push_to_hub(net, repo_id, recipe=recipe, private=private or None)}")

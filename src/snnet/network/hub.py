"""A network with its card and the picture of its curve, in a directory and on the Hugging Face hub."""

from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi

from snnet.errors import CheckpointError
from snnet.network.card import has_curve, model_card
from snnet.network.interface import Network
from snnet.network.storage import CARD, HUB_ERRORS, save_network
from snnet.report import draw_curve
from snnet.utils import write_text

PICTURE = "curve.png"


def write_card(
    net: Network, directory: str | Path, *, repo_id: str | None = None, recipe: str | Path | None = None
) -> Path:
    """Write the model card of a network, with the picture of its curve beside it where it has scores.

    Args:
        net: The network; its `table` is what the card knows of costs and scores.
        directory: Where to write `README.md` and `curve.png`; a card that stands there is replaced.
        repo_id: What the card's example loads.
        recipe: YAML file of the recipe that trained the network.

    Raises:
        CheckpointError: If the recipe cannot be read.
    """
    folder = Path(directory)
    picture = None
    if net.table is not None and has_curve(net.table):
        picture = draw_curve(net.table, folder / PICTURE).name
    card = model_card(net, repo_id=repo_id, recipe=None if recipe is None else _read(recipe), picture=picture)
    return write_text(folder / CARD, str(card))


def push_to_hub(
    net: Network,
    repo_id: str,
    *,
    recipe: str | Path | None = None,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "Upload a stitchable network",
) -> str:
    """Upload a network with its table, its card and the picture of its curve; return the URL of the commit.

    Args:
        net: The network.
        repo_id: `ORG/NAME`; made if it does not exist.
        recipe: YAML file of the recipe that trained the network, shown in the card.
        private: Whether a new repository is private; the account's default if None.
        token: Token of the hub; the one that `hf auth login` keeps if None.
        commit_message: Message of the commit.

    Returns:
        URL of the commit.

    Raises:
        CheckpointError: If the recipe cannot be read or the hub refuses.
    """
    with TemporaryDirectory() as folder:
        save_network(net, folder)
        write_card(net, folder, repo_id=repo_id, recipe=recipe)
        api = HfApi(token=token)
        try:
            api.create_repo(repo_id=repo_id, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message))
        except HUB_ERRORS as error:
            raise CheckpointError(
                f"The hub did not take {repo_id!r} ({error}); check the name ORG/NAME and log in with `hf auth login`."
            ) from error


def _read(recipe: str | Path) -> str:
    try:
        return Path(recipe).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"The recipe {recipe} cannot be read ({error}); give the YAML file.") from error

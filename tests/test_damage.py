"""Files that were damaged at random: a clear error of ours or the right value, never another error or a wrong value."""

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.anchors import load_checkpoint, read_tensors
from snnet.data import open_picture
from snnet.errors import SNNetError
from snnet.export.bundle import Bundle
from snnet.network import load
from snnet.recipes import Recipe
from snnet.table import StitchTable
from snnet.training.checkpoint import CheckpointStore
from tests.bundles import build_small_net
from tests.conftest import build_tiny_anchor

FILES = Path(__file__).with_name("version_0_1")
STRANGE = [None, True, -1, 0, 5, 1.5, 10**400, float("nan"), "", "x", "7:0-6", [], [5], {}, {"a": 1}, [[[]]], "\ud800"]


@dataclass(frozen=True)
class Kind:
    """One kind of file: how it is made in a folder, which of its files are damaged, and what is read of it.

    `sealed` kinds know every change; of the others a reading may differ where the damage gives another good file.
    """

    make: Callable[[Path], object]
    files: tuple[str, ...]
    read: Callable[[Path], Any]
    sealed: bool = True


def make_network(folder: Path) -> None:
    build_small_net().save_pretrained(folder)


def read_network(folder: Path) -> Any:
    net = load(folder)
    images = torch.linspace(-1, 1, 28 * 28).reshape(1, 1, 28, 28)
    table = None if net.table is None else [row.to_dict() for row in net.table]
    return [net(images, number).tolist() for number in range(len(net.space))], net.classes, table


def make_bundle(folder: Path) -> None:
    shutil.copytree(FILES / "bundle", folder, dirs_exist_ok=True)
    Bundle.open(folder).manifest.save(folder)  # as it is written now


def read_bundle(folder: Path) -> Any:
    bundle = Bundle.open(folder)
    image = np.linspace(-1, 1, 28 * 28, dtype=np.float32).reshape(1, 1, 28, 28)
    session = bundle.session(0)
    return session.run(None, {"images": image})[0].tolist(), bundle.input, [row.to_dict() for row in bundle.table]


def read_table(folder: Path) -> Any:
    table = StitchTable.load(folder / "table.jsonl")
    return repr(table), table.meta, [row.to_dict() for row in table]


def make_checkpoint(folder: Path) -> None:
    CheckpointStore(folder, {"a": 1}).save(3, {"weight": torch.arange(300.0), "names": ["a", "b"]})


def read_checkpoint(folder: Path) -> Any:
    found = CheckpointStore(folder, {"a": 1}).load_newest()
    return None if found is None else (found.step, found.state["weight"].tolist(), found.state["names"])


def make_weights(folder: Path) -> None:
    torch.save({"model": build_tiny_anchor(8, depth=1).model.state_dict()}, folder / "net.pth")


def read_published(folder: Path) -> Any:
    return {name: tensor.tolist() for name, tensor in read_tensors(folder / "net.pth").items()}


def read_anchor(folder: Path) -> Any:
    anchor = build_tiny_anchor(8, depth=1)
    load_checkpoint(anchor.model, folder / "net.pth")
    return {name: tensor.tolist() for name, tensor in anchor.model.state_dict().items()}


def make_image(folder: Path) -> None:
    pixels = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    for ending in ("png", "jpg", "bmp", "gif", "tif", "webp"):
        Image.fromarray(pixels).save(folder / f"image.{ending}")


def read_images(folder: Path) -> Any:
    return [np.asarray(open_picture(path)).shape for path in sorted(folder.iterdir())]


KINDS = {
    "network": Kind(make_network, ("config.json", "model.safetensors", "table.jsonl"), read_network),
    "bundle": Kind(make_bundle, ("manifest.json", "stitches/0_0-3.onnx", "stitches/weights.bin"), read_bundle),
    "table": Kind(
        lambda f: shutil.copy(FILES / "profiled.jsonl", f / "table.jsonl"), ("table.jsonl",), read_table, False
    ),
    "checkpoint": Kind(make_checkpoint, ("step-00000003.pt",), read_checkpoint),
    "published": Kind(make_weights, ("net.pth",), read_published),
    "anchor": Kind(make_weights, ("net.pth",), read_anchor),
    "recipe": Kind(
        lambda f: shutil.copy(FILES / "run" / "recipe.yaml", f),
        ("recipe.yaml",),
        lambda f: Recipe.load(f / "recipe.yaml"),
        False,
    ),
    "image": Kind(
        make_image, tuple(f"image.{e}" for e in ("png", "jpg", "bmp", "gif", "tif", "webp")), read_images, False
    ),
}


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Return content with a bit flipped, a part zeroed, cut off, put in, left out or exchanged."""
    start, length = draw.randrange(len(content)), draw.randint(1, max(1, len(content) // 3))
    before, part, after = content[:start], content[start : start + length], content[start + length :]
    ways: list[Callable[[], bytes]] = [
        lambda: before + bytes([part[0] ^ 1 << draw.randrange(8)]) + part[1:] + after,
        lambda: before + bytes(len(part)) + after,
        lambda: before,
        lambda: before + draw.randbytes(length) + part + after,
        lambda: before + after,
        lambda: before + part + part + after,
        lambda: b"[" * 20_000 + content,
        lambda: b"",
    ]
    return draw.choice(ways)()


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value within JSON."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(value[key], (*way, key))


def misstated(content: bytes, draw: random.Random) -> bytes:
    """Return JSON, or lines of it, in which one value is strange, missing or exchanged, and no digest tells."""
    lines = content.splitlines() if content.count(b"\n{") > 1 else [content]
    number = draw.randrange(len(lines))
    value = json.loads(lines[number])
    value.pop("digest", None)
    *way, last = draw.choice(list(places(value)))
    within = value
    for key in way:
        within = within[key]
    if draw.random() < 0.3:
        del within[last]
    else:
        within[last] = copy.deepcopy(draw.choice(STRANGE))
    lines[number] = json.dumps(value).encode()
    return b"\n".join(lines)


def check(kind: Kind, folder: Path, name: str, change: Callable[[bytes], bytes], right: Any) -> bool:
    """Damage one file, read, and mend it. Return whether it was refused; else what is read must be `right`, if any."""
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(change(content))
    try:
        found = kind.read(folder)
    except SNNetError as error:
        assert str(error)
        assert len(str(error)) < 4000
        return True
    finally:
        path.write_bytes(content)
    assert right is None or found == right
    return False


def run(name: str, folder: Path, times: int, seed: int) -> int:
    """Damage files of a kind many times; return how often it was refused."""
    kind, draw, refused = KINDS[name], random.Random(seed), 0
    kind.make(folder)
    right = kind.read(folder) if kind.sealed else None
    for _ in range(times):
        file = draw.choice(kind.files)
        refused += check(kind, folder, file, lambda content: damaged(content, draw), right)
        if file.endswith((".json", ".jsonl")):
            refused += check(kind, folder, file, lambda content: misstated(content, draw), None)
    return refused


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_a_few_damages(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path, 6, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_many_damages(name: str, seed: int, tmp_path: Path) -> None:
    assert run(name, tmp_path, 60, seed)

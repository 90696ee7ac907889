import hashlib
import importlib.util
import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from snnet.data import ArraySource, Request, TensorImages, open_dataset, open_pair
from snnet.data.embedded import open_embedded
from snnet.errors import DataError
from snnet.space import InputSpec

ASSETS = Path(str(files("snnet") / "assets" / "fashion_mnist"))
ORIGINAL = Path("/usr/share/datasets/fashion-mnist")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_embedded_data.py"


def load_embedded(split: str) -> ArraySource:
    return open_embedded(Request("", None, split, download=False))


@pytest.mark.parametrize(("split", "stored", "count"), [("train", "train", 10_000), ("validation", "test", 4_000)])
def test_the_images_are_what_was_packed_and_balanced(split: str, stored: str, count: int) -> None:
    source = load_embedded(split)
    facts = json.loads((ASSETS / "info.json").read_text())["splits"][stored]
    assert source.pixels.shape == (count, 28, 28)
    assert hashlib.sha256(source.pixels.numpy().tobytes()).hexdigest() == facts["sha256_pixels"]
    assert hashlib.sha256(bytes(source.labels)).hexdigest() == facts["sha256_labels"]
    assert torch.bincount(torch.tensor(source.labels)).tolist() == [count // 10] * 10
    assert len(source.classes) == 10


def test_no_image_is_in_both_splits() -> None:
    train, test = ({image.numpy().tobytes() for image in load_embedded(s).pixels} for s in ("train", "validation"))
    assert len(train) == 10_000
    assert len(test) == 4_000
    assert not train & test


def test_the_files_are_small_and_bear_their_license() -> None:
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 6_000_000
    assert "Zalando SE" in (ASSETS / "LICENSE").read_text(encoding="utf-8")


def test_it_opens_in_memory_normalized(grey: InputSpec) -> None:
    train, validation = open_pair("embedded", input=grey, num_classes=10)
    assert isinstance(train, TensorImages)
    assert isinstance(validation, TensorImages)
    assert validation.images.shape == (4_000, 1, 28, 28)
    expected = (load_embedded("train").pixels[7].float() / 255 - 0.286) / 0.353
    torch.testing.assert_close(train.images[7, 0], expected)
    assert abs(train.images.mean()) < 0.02
    assert train[7][1] == train.labels[7]


def test_a_network_of_other_size_and_channels_gets_resized_images(rgb: InputSpec) -> None:
    validation = open_dataset("embedded", split="validation", input=rgb)
    image, label = validation[0]
    assert image.shape == (3, 32, 32)
    assert label == load_embedded("validation").labels[0]


def test_it_takes_no_root(tmp_path: Path, grey: InputSpec) -> None:
    with pytest.raises(DataError, match="'embedded' lies in the package and takes no root"):
        open_dataset("embedded", tmp_path, input=grey)


def test_the_script_makes_the_same_files_again(tmp_path: Path) -> None:
    if not ORIGINAL.is_dir():
        pytest.skip(f"{ORIGINAL} is absent; install the Debian package dataset-fashion-mnist")
    spec = importlib.util.spec_from_file_location("make_embedded_data", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    facts = script.make_split(ORIGINAL, tmp_path, "test", seed=0)
    assert (tmp_path / "test.npz").read_bytes() == (ASSETS / "test.npz").read_bytes()
    assert facts == json.loads((ASSETS / "info.json").read_text())["splits"]["test"]

"""Small folders of real image files, and the inputs that anchors take."""

from pathlib import Path

import pytest

from snnet.space import InputSpec
from tests.data.image_files import write_split


@pytest.fixture
def rgb() -> InputSpec:
    return InputSpec((3, 32, 32), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), "bicubic", 0.9)


@pytest.fixture
def grey() -> InputSpec:
    return InputSpec((1, 28, 28), (0.286,), (0.353,), "bilinear", 1.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`train` with 12 images and `val` with 6, of two classes."""
    write_split(tmp_path / "pets" / "train")
    write_split(tmp_path / "pets" / "val", per_class=3)
    return tmp_path / "pets"

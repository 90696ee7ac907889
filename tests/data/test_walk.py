import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from snnet.data.walk import USUAL_ENDINGS, picture_endings, pictures_in, subfolders, walk
from snnet.errors import DataError


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root: Path, folder: Path | None = None) -> list[str]:
    return [path.relative_to(root).as_posix() for path in pictures_in(folder or root)]


def test_pictures_in_a_folder_at_any_depth(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "a/c.PNG", "a/.hidden.jpg", "a/notes.txt", "a/d/e.webp")
    assert names(tmp_path) == ["a/c.PNG", "a/d/e.webp", "b.jpg"]


def test_hidden_folders_are_passed_over_at_every_depth(tmp_path: Path) -> None:
    put(tmp_path, "a/x.jpg", "a/.ipynb_checkpoints/x.jpg", "a/b/__MACOSX/x.jpg", "__MACOSX/x.jpg", "a/b/.git/c/x.jpg")
    assert names(tmp_path) == ["a/x.jpg"]
    assert walk([tmp_path], picture_endings()).left_out == Counter()


def test_five_links_to_itself_end(tmp_path: Path) -> None:
    put(tmp_path, "a/x.jpg")
    for number in range(5):
        (tmp_path / "a" / f"again{number}").symlink_to(".")
        (tmp_path / "a" / f"up{number}").symlink_to("..")
    assert names(tmp_path) == names(tmp_path, tmp_path / "a") == ["a/x.jpg"]


def test_a_folder_is_met_by_its_own_path_and_links_to_other_places_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "in/z/x.jpg", "out/y.jpg")
    (tmp_path / "in" / "a").symlink_to("z")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "c").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "d.jpg").symlink_to(tmp_path / "out" / "y.jpg")
    assert names(tmp_path, tmp_path / "in") == ["in/b/y.jpg", "in/d.jpg", "in/z/x.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    if sys.platform == "linux":
        (tmp_path / "zeros.jpg").symlink_to("/dev/zero")
    put(tmp_path, "x.jpg", "y.txt")
    found = walk([tmp_path], picture_endings())
    assert found.files == ([tmp_path / "x.jpg"],)
    assert found.left_out == {"not regular": 1 + (sys.platform == "linux"), ".txt": 1}


def test_links_to_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").symlink_to("nowhere")
    (tmp_path / "y.jpg").symlink_to("y.jpg")
    (tmp_path / "z.txt").symlink_to("nowhere")
    found = walk([tmp_path], picture_endings())
    assert found.dangling == {tmp_path / "x.jpg", tmp_path / "y.jpg"} == {*found.files[0]}
    assert found.left_out == {".txt": 1}


def test_a_folder_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/x.jpg")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(DataError, match=r"a' and '.*b' are one folder"):
        walk([tmp_path / "a", tmp_path / "b"], USUAL_ENDINGS)


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone cannot be read: No such file or directory; check the path"):
        pictures_in(tmp_path / "gone")


def test_subfolders_are_sorted_and_neither_hidden_nor_above(tmp_path: Path) -> None:
    put(tmp_path, "a/b/x", "a/a/x", "a/.c/x", "a/__MACOSX/x", "d/x")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "a" / "other").symlink_to("../d")
    assert [path.name for path in subfolders(tmp_path / "a")] == ["a", "b", "other"]


def test_endings_are_those_that_pillow_opens() -> None:
    endings = picture_endings()
    assert endings[: len(USUAL_ENDINGS)] == USUAL_ENDINGS
    assert {".gif", ".jfif", ".jpe", ".avif", ".jp2"} <= {*endings}
    assert not {".pdf", ".ps", ".eps", ".mpg", ".h5", ".wmf"} & {*endings}
    assert all(Image.registered_extensions()[ending] in Image.OPEN for ending in endings)

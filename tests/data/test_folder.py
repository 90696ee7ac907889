import logging
import shutil
from pathlib import Path

import pytest

from snnet.data import ImageDataset, open_dataset, open_pair
from snnet.data.folder import FolderSource
from snnet.data.sources import SourcePart
from snnet.errors import DataError
from snnet.space import InputSpec
from tests.data.image_files import write_image, write_split


def test_train_and_validation_are_found(root: Path, rgb: InputSpec) -> None:
    train, validation = open_pair("folder", root, input=rgb, num_classes=2)
    assert (len(train), len(validation)) == (12, 6)
    assert train.classes == validation.classes == ("cat", "dog")
    image, label = validation[5]
    assert image.shape == (3, 32, 32)
    assert label == 1


@pytest.mark.parametrize("name", ["validation", "val", "valid", "test", "eval"])
def test_the_validation_folder_goes_by_many_names(root: Path, rgb: InputSpec, name: str) -> None:
    if name != "val":
        (root / "val").rename(root / name)
    assert len(open_dataset("folder", root, "validation", input=rgb)) == 6


def test_a_root_with_classes_is_one_split(root: Path, rgb: InputSpec) -> None:
    assert len(open_dataset("folder", root / "val", "validation", input=rgb)) == 6


def names(images: object) -> list[str]:
    assert isinstance(images, ImageDataset) and isinstance(images.source, SourcePart)
    whole = images.source.whole
    assert isinstance(whole, FolderSource)
    paths = [whole.paths[place] for place in images.source.places]
    return [f"{path.parent.name}/{path.name}" for path in paths]


def test_without_splits_a_share_of_each_class_is_held_out(
    tmp_path: Path, rgb: InputSpec, caplog: pytest.LogCaptureFixture
) -> None:
    write_split(tmp_path / "one", ("cat",), per_class=10)
    write_split(tmp_path / "one", ("dog",), per_class=2)
    with caplog.at_level(logging.WARNING, "snnet.data.datasets"):
        train, validation = open_pair("folder", tmp_path / "one", input=rgb)
    assert "of its 12 images, 9 are for training and 3 are held out for validation" in caplog.text
    assert train.classes == validation.classes == ("cat", "dog")
    assert [validation[i][1] for i in range(3)] == [0, 0, 1]
    assert not set(names(train)) & set(names(validation))
    (tmp_path / "one").rename(tmp_path / "two")
    again = open_pair("folder", tmp_path / "two", input=rgb)
    assert [names(part) for part in again] == [names(train), names(validation)]


def test_without_splits_a_class_of_one_image_is_refused(tmp_path: Path, rgb: InputSpec) -> None:
    write_split(tmp_path)
    write_split(tmp_path, ("lynx",), per_class=1)
    with pytest.raises(DataError, match=r"a class has a single image: lynx; add images"):
        open_pair("folder", tmp_path, input=rgb)


def test_splits_that_are_one_folder_are_refused(root: Path, rgb: InputSpec) -> None:
    shutil.rmtree(root / "val")
    (root / "val").symlink_to(root / "train")
    with pytest.raises(DataError, match="are one folder, so training and validation images would be the same"):
        open_pair("folder", root, input=rgb)


def test_a_class_may_be_called_train(tmp_path: Path, rgb: InputSpec) -> None:
    write_split(tmp_path, ("car", "train"))
    assert open_dataset("folder", tmp_path, input=rgb).classes == ("car", "train")


def test_images_lie_at_any_depth_and_other_files_are_ignored(root: Path, rgb: InputSpec) -> None:
    write_image(root / "train" / "cat" / "deep" / "er" / "x.PNG", 0)
    (root / "train" / "cat" / "notes.txt").write_text("hello")
    (root / "train" / "cat" / "._x.png").write_text("macOS")
    (root / "train" / ".cache").mkdir()
    (root / "__MACOSX").mkdir()
    train = open_dataset("folder", root, input=rgb)
    assert len(train) == 13
    assert train.classes == ("cat", "dog")


def test_no_root(rgb: InputSpec) -> None:
    with pytest.raises(DataError, match="'folder' needs root="):
        open_dataset("folder", input=rgb)


def test_a_missing_root(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match="nowhere does not exist; give the folder"):
        open_dataset("folder", tmp_path / "nowhere", input=rgb)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file is a file, not a folder"):
        open_dataset("folder", tmp_path / "file", input=rgb)


def test_an_empty_root(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match=r"is empty: it has no class folders; put the images .*/CLASS/x.jpg"):
        open_dataset("folder", tmp_path, input=rgb)


def test_images_without_class_folders(tmp_path: Path, rgb: InputSpec) -> None:
    write_image(tmp_path / "train" / "x.png", 0)
    with pytest.raises(DataError, match="train has 1 images but no class folders; put the images of each class"):
        open_dataset("folder", tmp_path, input=rgb)


def test_a_missing_split(root: Path, rgb: InputSpec) -> None:
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"has no validation images, only train; put them into .*/validation or .*/val"):
        open_dataset("folder", root, "validation", input=rgb)


def test_a_class_without_images(root: Path, rgb: InputSpec) -> None:
    (root / "train" / "empty").mkdir()
    with pytest.raises(DataError, match=r"train has no image \(.jpg, .*\) in the class folders empty; add images"):
        open_dataset("folder", root, input=rgb)


def test_validation_with_other_classes(root: Path, rgb: InputSpec) -> None:
    (root / "val" / "dog").rename(root / "val" / "wolf")
    expected = r"val has other classes than the training images \(classes that .* lack: wolf; no folder for: dog\)"
    with pytest.raises(DataError, match=expected):
        open_dataset("folder", root, "validation", input=rgb)


def test_validation_may_lack_images_of_a_class_and_keeps_its_labels(root: Path, rgb: InputSpec) -> None:
    shutil.rmtree(root / "val" / "cat")
    (root / "val" / "cat").mkdir()
    validation = open_dataset("folder", root, "validation", input=rgb)
    assert {validation[i][1] for i in range(3)} == {1}


def test_a_number_of_classes_that_does_not_fit(root: Path, rgb: InputSpec) -> None:
    expected = r"has 2 classes \(cat, dog\) but the network has 10; use data with 10 classes, or .* num_classes=2"
    with pytest.raises(DataError, match=expected):
        open_dataset("folder", root, input=rgb, num_classes=10)


def test_a_file_that_vanished(root: Path, rgb: InputSpec) -> None:
    train = open_dataset("folder", root, input=rgb)
    (root / "train" / "cat" / "0.jpg").unlink()
    with pytest.raises(DataError, match=r"0.jpg cannot be read: .*No such file"):
        train[0]

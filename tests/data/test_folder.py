import logging
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image, features

from snnet.data import EvalBatches, ImageDataset, check_outside, open_dataset, open_pair
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
    with pytest.raises(DataError, match=r"a class has a single image: 'lynx'; add images"):
        open_pair("folder", tmp_path, input=rgb)


def test_splits_that_are_one_folder_are_refused(root: Path, rgb: InputSpec) -> None:
    shutil.rmtree(root / "val")
    (root / "val").symlink_to(root / "train")
    with pytest.raises(DataError, match=r"are one folder or share .*, so training and validation images"):
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
    with pytest.raises(DataError, match="train has 1 image but no class folders; put the images of each class"):
        open_dataset("folder", tmp_path, input=rgb)


def test_a_missing_split(root: Path, rgb: InputSpec) -> None:
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"has no validation images, only train; put them into .*/validation or .*/val"):
        open_dataset("folder", root, "validation", input=rgb)


def test_a_class_without_images(root: Path, rgb: InputSpec) -> None:
    (root / "train" / "empty").mkdir()
    with pytest.raises(DataError, match=r"train has no image \(.jpg, .*\) in the class folders 'empty'; add images"):
        open_dataset("folder", root, input=rgb)


def test_validation_with_other_classes(root: Path, rgb: InputSpec) -> None:
    (root / "val" / "dog").rename(root / "val" / "wolf")
    expected = r"val has other classes than the training images \(classes that .* lack: 'wolf'; no folder for: 'dog'\)"
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


@pytest.mark.parametrize(
    ("train", "val"), [("Train", "Val"), ("TRAINING", "Validation"), ("training", "VALID"), ("train", "Testing")]
)
def test_splits_are_known_in_any_case_and_spelling(root: Path, rgb: InputSpec, train: str, val: str) -> None:
    (root / "train").rename(root / "first")
    (root / "first").rename(root / train)
    (root / "val").rename(root / "second")
    (root / "second").rename(root / val)
    both = open_pair("folder", root, input=rgb)
    assert [(len(part), part.classes) for part in both] == [(12, ("cat", "dog")), (6, ("cat", "dog"))]


def test_splits_that_differ_in_case_alone_are_refused(root: Path, rgb: InputSpec) -> None:
    shutil.copytree(root / "train", root / "Train")
    with pytest.raises(DataError, match="train images may be those of Train or train; keep one"):
        open_pair("folder", root, input=rgb)


@pytest.mark.parametrize("above", ["", "deeper"])
@pytest.mark.parametrize("others", [(), ("cat",)])
def test_a_root_that_lies_too_high_is_refused(root: Path, rgb: InputSpec, above: str, others: tuple[str, ...]) -> None:
    place = root.parent / "data" / above / "ds"
    place.parent.mkdir(parents=True, exist_ok=True)
    root.rename(place)
    write_split(root.parent / "data", others)
    with pytest.raises(DataError, match=f"the root that was meant is probably {place}"):
        open_pair("folder", root.parent / "data", input=rgb)


def test_a_single_class_is_refused(tmp_path: Path, rgb: InputSpec) -> None:
    write_split(tmp_path / "one" / "cat" / "young")
    with pytest.raises(DataError, match=r"single class, 'cat', .* the root that was meant is probably .*/one/cat"):
        open_pair("folder", tmp_path / "one", input=rgb)
    write_split(tmp_path / "two" / "train", ("cat",))
    write_split(tmp_path / "two" / "val", ("cat",))
    with pytest.raises(DataError, match=r"has a single class, 'cat', and there is nothing to tell apart\.$"):
        open_pair("folder", tmp_path / "two", input=rgb)


def test_a_link_to_what_holds_it_adds_nothing(root: Path, rgb: InputSpec) -> None:
    for name, target in [("up", ".."), ("loop", "."), ("again", "../dog"), ("top", "../../..")]:
        (root / "train" / "cat" / name).symlink_to(target)
    (root / "train" / "all").symlink_to(".")
    train = open_dataset("folder", root, input=rgb)
    assert (len(train), train.classes) == (12, ("cat", "dog"))
    assert isinstance(train, ImageDataset) and isinstance(train.source, FolderSource)
    assert train.source.labels == [0] * 6 + [1] * 6


def test_two_classes_that_are_one_folder_are_refused(root: Path, rgb: InputSpec) -> None:
    (root / "train" / "wolf").symlink_to("dog")
    with pytest.raises(DataError, match=r"dog' and '.*wolf' are one folder; remove the link"):
        open_dataset("folder", root, input=rgb)


def test_validation_images_that_are_linked_from_the_training_images_are_refused(root: Path, rgb: InputSpec) -> None:
    shutil.rmtree(root / "val" / "cat")
    (root / "val" / "cat").symlink_to(root / "train" / "cat")
    with pytest.raises(DataError, match=r"share .*val/cat, so training and validation images would be the same"):
        open_pair("folder", root, input=rgb)


def test_links_to_nothing_count_as_undecodable_from_the_start(root: Path, rgb: InputSpec) -> None:
    for number in range(2):
        (root / "train" / "cat" / f"gone{number}.jpg").symlink_to("nowhere.jpg")
    (root / "train" / "cat" / "itself.png").symlink_to("itself.png")
    train = open_dataset("folder", root, input=rgb, max_corrupt=3)
    assert isinstance(train, ImageDataset)
    assert (len(train), len(train.skipped)) == (15, 3)
    assert [len(labels) for _, labels in EvalBatches(train, 100)] == [12]
    with pytest.raises(DataError, match=r"3 of 15 images do not decode, more than max_corrupt=2: .*cat/gone0.jpg, "):
        open_dataset("folder", root, input=rgb, max_corrupt=2)


def test_what_was_found_is_said_once(root: Path, grey: InputSpec, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.heic", "b.heic", "notes.txt", "plain", ".hidden"):
        (root / "train" / "cat" / name).touch()
    (root / "val" / "dog" / "gone.jpg").symlink_to("nowhere")
    with caplog.at_level(logging.INFO, "snnet.data.datasets"):
        open_pair("folder", root, input=grey)
    [said] = caplog.messages
    assert said == (
        f"folder under {root}: 12 images for training and 7 for validation; 2 classes; read as 28x28 pixels in grey; "
        "links to nothing: 1; left out, by ending: 2 .heic, 1 .txt, 1 without ending."
    )


def test_nothing_left_out_is_no_warning(root: Path, rgb: InputSpec, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "snnet.data.datasets"):
        open_dataset("folder", root, input=rgb)
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert record.message.endswith("12 images of the train split; 2 classes; read as 32x32 pixels in RGB.")


def test_whatever_pillow_reads_is_read(root: Path, rgb: InputSpec) -> None:
    picture = Image.new("RGB", (8, 8), (10, 200, 30))
    kinds = {"gif": "GIF", "jfif": "JPEG", "JPE": "JPEG", "tga": "TGA", "qoi": "QOI"}
    kinds |= {"avif": "AVIF"} if features.check("avif") else {}
    kinds |= {"jp2": "JPEG2000"} if features.check("jpg_2000") else {}
    for ending, kind in kinds.items():
        picture.save(root / "train" / "dog" / f"z.{ending}", kind)
    train = open_dataset("folder", root, input=rgb)
    assert len(train) == 12 + len(kinds)
    assert all(train[place][0].isfinite().all() for place in range(12, len(train)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_a_class_whose_name_is_no_text_is_refused(root: Path, rgb: InputSpec) -> None:
    shutil.copytree(root / "train" / "cat", os.fsdecode(os.fsencode(root / "train") + b"/caf\xe9"))
    with pytest.raises(DataError, match=r"name is not UTF-8, b'caf\\xe9'; rename it"):
        open_dataset("folder", root, input=rgb)


@pytest.mark.parametrize(
    ("train", "val", "how"),
    [
        ("caf\u00e9", "cafe\u0301", r"differ in Unicode form, NFD and NFC: 'cafe\\u0301' and 'caf\\xe9'"),
        ("cat", "cat ", "'cat ' and 'cat' differ in blanks"),
        ("Cat", "cat", "'cat' and 'Cat' differ in upper and lower case"),
    ],
)
def test_names_that_look_alike_are_told_apart(tmp_path: Path, rgb: InputSpec, train: str, val: str, how: str) -> None:
    write_split(tmp_path / "train", (train, "dog"))
    write_split(tmp_path / "val", (val, "dog"))
    with pytest.raises(DataError, match=f"lack: '.*'; no folder for: '.*'; .*{how}"):
        open_pair("folder", tmp_path, input=rgb)


def test_an_output_among_the_class_folders_is_refused(root: Path) -> None:
    for output in (root / "train" / "run", root / "val" / "cat" / "run", root / "train"):
        with pytest.raises(DataError, match=r"lies in .*, among the class folders of the images"):
            check_outside(output, "folder", root)
    for output in (root / "run", root.parent / "run"):
        check_outside(output, "folder", root)
    for output in (root / "train" / "run", root / "train"):
        with pytest.raises(DataError, match="choose an output outside"):
            check_outside(output, "folder", root / "train")
    check_outside(root / "train" / "run", "torchvision/CIFAR10", root)
    check_outside(root / "train" / "run", "embedded", None)

"""Which shards a split has under a root, how many samples they hold, and which classes there are: `find_shards`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("webdataset", reason="the package webdataset is not installed")

from snnet.data.shards import find_shards
from snnet.errors import DataError
from tests.data.shard_files import write_shards


def names(root: Path, split: str) -> list[str]:
    return [shard.path.name for shard in find_shards(root, split)[0]]


def info(root: Path, **entry: Any) -> None:
    (root / "_info.json").write_text(json.dumps({"splits": {"train": entry}}))


def test_the_info_file_of_timm_tells_shards_and_lengths(tmp_path: Path) -> None:
    write_shards(tmp_path, [3, 2], info=True)
    write_shards(tmp_path, [2], "validation", info=True)
    shards, _, _ = find_shards(tmp_path, "train")
    assert [(shard.path.name, shard.length) for shard in shards] == [("train-0000.tar", 3), ("train-0001.tar", 2)]
    assert names(tmp_path, "validation") == ["validation-0000.tar"]


def test_yaml_lengths_left_out_and_the_key_of_the_label(tmp_path: Path) -> None:
    write_shards(tmp_path, [3])
    entry = {"filenames": ["train-0000.tar"], "alt_label": "fine"}
    (tmp_path / "info.yaml").write_text(yaml.safe_dump({"splits": {"train": entry}, "classes": ["cat", "dog"]}))
    shards, classes, label_key = find_shards(tmp_path, "train")
    assert (label_key, classes, shards[0].length) == ("fine", ("cat", "dog"), None)


@pytest.mark.parametrize("name", ["val-{}.tar", "valid/{}.tar", "imagenet-validation-{}.tar"])
def test_without_an_info_file_paths_tell_the_split(tmp_path: Path, name: str) -> None:
    for each in ("train-0.tar", "test-0.tar", name.format(0), name.format(1)):
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).touch()
    assert names(tmp_path, "train") == ["train-0.tar"]
    wanted = [Path(name.format(number)).name for number in (0, 1)]
    assert names(tmp_path, "validation") == wanted


def test_the_test_split_serves_where_there_is_no_other(tmp_path: Path) -> None:
    write_shards(tmp_path, [1], "test")
    (tmp_path / "classnames.txt").write_text("cat\nhot dog\n")
    (shard,), classes, _ = find_shards(tmp_path, "validation")
    assert (shard.path.name, classes) == ("test-0000.tar", ("cat", "hot dog"))


def test_shards_that_are_missing_are_named(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, [2, 2, 2], info=True)
    paths[1].unlink()
    with pytest.raises(DataError, match=r"1 of 3 shards are missing: .*train-0001.tar; copy them anew"):
        find_shards(tmp_path, "train")


def test_a_folder_without_shards_of_the_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no shards \(\*.tar\) for the train split; name them train-0000.tar"):
        find_shards(tmp_path, "train")
    write_shards(tmp_path, [1], "part")
    with pytest.raises(DataError, match=r"has 1 shard, none of them named for the validation split"):
        find_shards(tmp_path, "validation")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "is no info file of shards"),
        ('{"splits": {"test": {}}}', r"lists no train split \(train or training\), only test"),
        ('{"splits": {"train": {}}}', "lists no 'filenames' for its split 'train'"),
        (
            '{"splits": {"train": {"filenames": ["a.tar"], "shard_lengths": [1, 2]}}}',
            "1 filename and 2 entries in shard_lengths for 'train'; it needs as many",
        ),
    ],
)
def test_faults_of_the_info_file_are_said(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "_info.json").write_text(text)
    with pytest.raises(DataError, match=words):
        find_shards(tmp_path, "train")

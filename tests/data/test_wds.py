import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("webdataset", reason="the package webdataset is not installed")

from snnet.data import (
    Augmentation,
    BatchAugment,
    ImageDataset,
    Request,
    TrainBatches,
    calibration_images,
    eval_batches,
    open_dataset,
    open_pair,
)
from snnet.data import wds as wds_module
from snnet.data.shards import Shard
from snnet.data.wds import ShardSource, open_wds
from snnet.errors import DataError, ExtraError
from snnet.space import InputSpec
from snnet.utils import Share
from tests.data.shard_files import jpeg, replace_sample, write_shard, write_shards


def source(root: Path, split: str = "train") -> ShardSource:
    return open_wds(Request("pets", root, split, False))


def opened(root: Path, rgb: InputSpec, split: str = "validation", **options: Any) -> ImageDataset:
    images = open_dataset("wds/pets", root, split, input=rgb, num_classes=2, **options)
    assert isinstance(images, ImageDataset)
    return images


class TestSource:
    def test_images_come_with_their_labels_and_names(self, tmp_path: Path) -> None:
        write_shards(tmp_path, [3, 2])
        images = source(tmp_path)
        assert len(images) == 5
        assert [images.read(place)[1] for place in range(5)] == [0, 1, 0, 1, 0]
        assert images.describe(3) == f"{tmp_path}/train-0001.tar:s0003"
        assert images.read(3)[0].size == (34, 34)

    def test_an_order_has_every_place_once(self, tmp_path: Path) -> None:
        write_shards(tmp_path, [7, 5, 6, 1], info=True)
        images = source(tmp_path)
        for order in ((1, 0), (1, 2, 3)):
            assert sorted(images.shuffled(*order).tolist()) == list(range(19))
        assert images.shuffled(1, 0).tolist() != images.shuffled(1, 1).tolist()

    def test_what_is_not_wanted_is_not_touched(self, tmp_path: Path) -> None:
        paths = write_shards(tmp_path, [4, 4, 4], info=True)
        images = source(tmp_path)
        paths[0].unlink()
        paths[1].unlink()
        assert [images.read(place)[1] for place in range(8, 12)] == [0, 1, 0, 1]
        with pytest.raises(DataError, match=r"Shard .*train-0001.tar cannot be read"):
            images.read(7)

    def test_few_shards_stay_open(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_shards(tmp_path, [2] * 9, info=True)
        monkeypatch.setattr(wds_module, "_OPEN", 3)
        images = source(tmp_path)
        for place in (0, 1, 2, 4, 0, 6, 17):
            images.read(place)
            assert sum(shard._file is not None for shard in images.shards) <= 3
            assert sum(shard._samples is not None for shard in images.shards) <= 3
        assert [shard.path.name[6:10] for shard in images.shards if shard._file] == ["0000", "0003", "0008"]

    def test_another_process_opens_its_own_files(self, tmp_path: Path) -> None:
        write_shards(tmp_path, [4], info=True)
        images = source(tmp_path)
        images.read(0)
        assert images.shards[0]._file and pickle.loads(pickle.dumps(images)).shards[0]._file is None
        child = os.fork()
        if child == 0:  # pragma: no cover - in the child
            images.read(3)
            os._exit(len(images._open) + 10 * (images._process == os.getpid()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11
        assert images.read(1)[1] == 1

    @pytest.mark.parametrize(
        ("files", "words"),
        [
            ({"jpg": jpeg(0)}, r"has no label: it needs a .cls or .json file and has .jpg"),
            ({"jpg": jpeg(0), "cls": "cat"}, r"has the label 'cat' in .cls where a whole number belongs"),
            ({"jpg": jpeg(0), "cls": ""}, r"has the label '' in .cls"),
            ({"jpg": jpeg(0), "json": {"id": 3}}, r"has no label: its .json lacks the field 'label'"),
            ({"jpg": jpeg(0), "json": b"{"}, r"has a .json that is not JSON"),
            ({"jpg": jpeg(0), "json": {"label": None}}, r"has the label None in .json, field 'label', where"),
            ({"jpg": jpeg(0), "cls": 2}, r"Label 2 of .*s0001 is outside 0 to 1; is this split of the data labeled"),
            ({"jpg": jpeg(0), "cls": -1}, r"Label -1 of .*s0001 is outside 0 to 1"),
        ],
    )
    def test_a_label_that_is_missing_or_wrong(
        self, tmp_path: Path, rgb: InputSpec, files: dict[str, Any], words: str
    ) -> None:
        path = write_shards(tmp_path, [3], "val")[0]
        replace_sample(path, 1, files, 3)
        with pytest.raises(DataError, match=words) as caught:
            list(eval_batches(opened(tmp_path, rgb), 2))
        assert f"{path}:s0001" in str(caught.value)

    def test_labels_may_lie_in_json(self, tmp_path: Path) -> None:
        samples = [{"__key__": f"s{n}", "png": jpeg(n), "json": {"fine": n, "label": 7}, "cls": 9} for n in range(3)]
        shard = Shard(write_shard(tmp_path / "train.tar", samples))
        assert [ShardSource([shard], "wds/x", label_key="fine").read(n)[1] for n in range(3)] == [0, 1, 2]
        assert [ShardSource([shard], "wds/x").read(n)[1] for n in range(3)] == [9, 9, 9]
        without = [{k: v for k, v in each.items() if k != "cls"} for each in samples]
        shard = Shard(write_shard(tmp_path / "train.tar", without))
        assert [ShardSource([shard], "wds/x").read(n)[1] for n in range(3)] == [7, 7, 7]


class TestOpened:
    def test_a_slow_count_is_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_shards(tmp_path, [3, 2])
        with caplog.at_level(logging.WARNING):
            assert len(source(tmp_path)) == 5
        assert not caplog.messages
        monkeypatch.setattr(wds_module, "_SLOW", -1)
        stream = source(tmp_path)
        with caplog.at_level(logging.WARNING):
            assert len(stream) == len(stream) == 5
        assert len(caplog.messages) == 1
        assert "wds/pets: counted 5 images in 2 shards in" in caplog.text
        assert "an _info.json with their shard_lengths saves that" in caplog.text

    @pytest.mark.parametrize("workers", [0, 2])
    def test_evaluation_sees_each_image_once_and_in_order(self, tmp_path: Path, rgb: InputSpec, workers: int) -> None:
        write_shards(tmp_path, [5, 4], "val")
        images = opened(tmp_path, rgb)
        expected = torch.stack([images[n][0] for n in range(9)])
        batches = eval_batches(images, 4, workers)
        assert (len(batches), batches.images) == (3, 9)
        for _ in range(2):
            found = list(batches)
            assert [len(labels) for _, labels in found] == [4, 4, 1]
            assert torch.equal(torch.cat([part for part, _ in found]), expected)
            assert torch.cat([labels for _, labels in found]).tolist() == [n % 2 for n in range(9)]

    def test_processes_share_evaluation(self, tmp_path: Path, rgb: InputSpec) -> None:
        write_shards(tmp_path, [5, 4], "val")
        images = opened(tmp_path, rgb)
        parts = [list(eval_batches(images, 4).of(Share(rank, 3))) for rank in range(3)]
        found = [image for part in parts for batch, _ in part for image in batch]
        assert len(found) == 9
        assert all(any(torch.equal(image, each) for each in found) for image in (images[n][0] for n in range(9)))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_evaluation_leaves_out_what_does_not_decode(
        self, tmp_path: Path, rgb: InputSpec, workers: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write_shards(tmp_path, [6], "val")[0]
        replace_sample(path, 2, {"jpg": b"a text in place of an image", "cls": 0}, 6)
        batches = eval_batches(opened(tmp_path, rgb), 4, workers)
        with caplog.at_level(logging.WARNING):
            assert [labels.tolist() for _, labels in batches] == [[0, 1, 1], [0, 1]]
        assert batches.images == 5
        assert f"1 of 6 images do not decode and were skipped: {path}:s0002" in caplog.text
        with pytest.raises(DataError, match=r"1 of 6 images do not decode, more than max_corrupt=0: .*:s0002; repair"):
            list(eval_batches(opened(tmp_path, rgb, max_corrupt=0), 4, workers))

    def test_a_sample_without_an_image_counts_as_corrupt(self, tmp_path: Path, rgb: InputSpec) -> None:
        path = write_shards(tmp_path, [3], "val")[0]
        replace_sample(path, 1, {"txt": "a text", "cls": 0}, 3)
        batches = eval_batches(opened(tmp_path, rgb), 4)
        assert [len(labels) for _, labels in batches] == [2]
        assert batches.skipped.reasons == (f"{path}:s0001 does not decode (it has no image, only .cls, .txt)",)

    def test_nothing_but_damage_is_refused(self, tmp_path: Path, rgb: InputSpec) -> None:
        write_shard(tmp_path / "val.tar", [{"__key__": f"s{n}", "jpg": b"x", "cls": 0} for n in range(3)])
        with pytest.raises(DataError, match=r"None of the 3 images decodes; the first: .*val.tar:s0"):
            list(eval_batches(opened(tmp_path, rgb), 2))

    def test_a_choice_of_images_counts_what_it_skips(self, tmp_path: Path, rgb: InputSpec) -> None:
        path = write_shards(tmp_path, [6], "val")[0]
        replace_sample(path, 3, {"jpg": b"broken", "cls": 1}, 6)
        images = opened(tmp_path, rgb, max_corrupt=0)
        found = list(eval_batches(images.some([1, 4]), 4))
        assert torch.equal(found[0][0], torch.stack([images[1][0], images[4][0]]))
        with pytest.raises(DataError, match="1 of 2 images do not decode, more than max_corrupt=0"):
            list(eval_batches(images.some([1, 3]), 4))

    def test_classes_are_numbered_where_they_have_no_names(self, tmp_path: Path, rgb: InputSpec) -> None:
        write_shards(tmp_path, [3])
        write_shards(tmp_path, [2], "val")
        assert opened(tmp_path, rgb).classes == ("0", "1")
        (tmp_path / "classnames.txt").write_text("cat\ndog\nowl\n")
        with pytest.raises(DataError, match=r"wds/pets under .* has 3 classes \(cat, dog, owl\) but the network has 2"):
            opened(tmp_path, rgb)
        train, validation = open_pair("wds/pets", tmp_path, input=rgb)
        assert train.classes == validation.classes == ("cat", "dog", "owl")

    def test_shards_of_both_splits_are_refused(self, tmp_path: Path, rgb: InputSpec) -> None:
        write_shards(tmp_path, [3], "train-val")
        with pytest.raises(DataError, match="shards that are both for training and for validation"):
            open_pair("wds/pets", tmp_path, input=rgb)

    def test_a_missing_package_names_its_extra(
        self, tmp_path: Path, rgb: InputSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "webdataset", None)
        with pytest.raises(ExtraError, match=r"webdataset, which is not installed; pip install 'snnet\[wds\]'"):
            open_dataset("wds/x", tmp_path, input=rgb)


class TestCalibration:
    def test_images_are_clean_balanced_and_repeat(self, tmp_path: Path, rgb: InputSpec) -> None:
        # Class 1 comes but twice among twelve.
        samples = [{"__key__": f"s{n}", "jpg": jpeg(n), "cls": int(n in (4, 9))} for n in range(12)]
        write_shard(tmp_path / "train.tar", samples)
        augmented = opened(tmp_path, rgb, "train", augment=Augmentation())
        clean = {n: opened(tmp_path, rgb, "train")[n][0] for n in range(12)}

        def chosen(count: int, seed: int) -> list[int]:
            found = calibration_images(augmented, count, seed)
            return [next(n for n in clean if torch.equal(clean[n], image)) for image in found]

        assert sum(n in (4, 9) for n in chosen(4, 0)) == 2
        assert chosen(4, 0) == chosen(4, 0) != chosen(4, 1)
        assert sorted(chosen(8, 0)) == sorted(set(chosen(8, 0)))
        assert len(chosen(8, 0)) == 8
        assert len(chosen(50, 0)) == 12

    def test_damaged_images_are_passed_over(self, tmp_path: Path, rgb: InputSpec) -> None:
        path = write_shards(tmp_path, [4])[0]
        replace_sample(path, 1, {"jpg": b"broken", "cls": 1}, 4)
        images = opened(tmp_path, rgb, "train")
        assert len(calibration_images(images, 4)) == 3
        assert len(images.skipped) == 1


class TestTraining:
    """The batches are those of any indexed data; what shards add is their order."""

    @pytest.fixture
    def shards(self, tmp_path: Path) -> list[Path]:
        return write_shards(tmp_path, [7, 5, 9, 2], info=True)

    @pytest.fixture
    def images(self, tmp_path: Path, shards: list[Path], rgb: InputSpec) -> ImageDataset:
        return opened(tmp_path, rgb, "train", augment=Augmentation())

    def test_an_epoch_follows_the_order_of_the_shards(self, tmp_path: Path, shards: list[Path], rgb: InputSpec) -> None:
        images = opened(tmp_path, rgb, "train")
        batches = TrainBatches(images, 4, 3, buffer=6)
        found = torch.cat([part for part, _ in batches.epoch(1)])
        order = images.source.shuffled(3, 1, 6)[:20]
        assert (len(batches), batches.images, order.unique().numel()) == (5, 23, 20)
        assert torch.equal(found, torch.stack([images[int(place)][0] for place in order]))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_workers_resuming_and_sharing_change_nothing(self, images: ImageDataset, workers: int) -> None:
        whole = list(TrainBatches(images, 4, 3, BatchAugment(pad=2)).epoch(2))
        again = TrainBatches(images, 4, 3, BatchAugment(pad=2), workers)
        assert equal(whole[3:], list(again.epoch(2, 3)))
        parts = [list(again.epoch(2, 3, Share(rank, 2))) for rank in (0, 1)]
        joined = [tuple(map(torch.cat, zip(*pair, strict=True))) for pair in zip(*parts, strict=True)]
        assert equal(whole[3:], joined)

    def test_a_moved_folder_changes_nothing(self, tmp_path: Path, images: ImageDataset, rgb: InputSpec) -> None:
        whole = list(TrainBatches(images, 4).epoch(0))
        moved = tmp_path.with_name("elsewhere")
        tmp_path.rename(moved)
        assert equal(whole, list(TrainBatches(opened(moved, rgb, "train", augment=Augmentation()), 4).epoch(0)))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_shard_that_is_cut_off(self, images: ImageDataset, shards: list[Path], workers: int) -> None:
        shards[2].write_bytes(shards[2].read_bytes()[:20000])
        with pytest.raises(DataError, match=r"Shard .*train-0002.tar is cut off or damaged after s001\d") as caught:
            list(TrainBatches(images, 4, workers=workers).epoch(0))
        assert "Traceback" not in str(caught.value)

    def test_a_buffer_is_for_shards(self, root: Path, rgb: InputSpec) -> None:
        with pytest.raises(DataError, match="shuffle buffer of 9 images is for shards; this data is shuffled whole"):
            TrainBatches(open_dataset("folder", root, input=rgb), 4, buffer=9)


def equal(first: list[Any], second: list[Any]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))

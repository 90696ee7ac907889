from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("webdataset", reason="the package webdataset is not installed")

from snnet.data import (
    Augmentation,
    BatchAugment,
    Order,
    StreamBatches,
    StreamImages,
    TrainBatches,
    open_dataset,
    train_batches,
)
from snnet.data.loader import Batch
from snnet.data.wds import ShardImage
from snnet.errors import DataError
from snnet.space import InputSpec
from snnet.utils import Share
from tests.data.shard_files import replace_sample, write_shards


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return write_shards(tmp_path, [7, 5, 9, 2], info=True)


@pytest.fixture
def images(tmp_path: Path, shards: list[Path], rgb: InputSpec) -> StreamImages:
    return opened(tmp_path, rgb, augment=Augmentation())


def opened(root: Path, rgb: InputSpec, **options: Any) -> StreamImages:
    images = open_dataset("wds/x", root, input=rgb, num_classes=2, **options)
    assert isinstance(images, StreamImages)
    return images


def batches(images: StreamImages, **options: Any) -> StreamBatches:
    made = train_batches(images, 4, 3, **options)
    assert isinstance(made, StreamBatches)
    return made


def test_an_epoch_has_every_image_once_without_the_rest(tmp_path: Path, shards: list[Path], rgb: InputSpec) -> None:
    clean = opened(tmp_path, rgb)
    all_images = [image for image, _ in clean]
    made = batches(clean)
    assert (len(made), made.images) == (5, 23)
    orders = []
    for epoch in (0, 1):
        found = torch.cat([part for part, _ in made.epoch(epoch)])
        orders.append([next(n for n, one in enumerate(all_images) if torch.equal(one, each)) for each in found])
    assert [len(set(order)) for order in orders] == [20, 20]
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_and_resuming_change_nothing(images: StreamImages, workers: int) -> None:
    whole = list(batches(images, augment=BatchAugment(pad=2)).epoch(2))
    again = batches(images, augment=BatchAugment(pad=2), workers=workers)
    torch.rand(3)
    assert equal(whole, list(again.epoch(2)))
    assert equal(whole[3:], list(again.epoch(2, 3)))


def test_more_workers_than_shards_divide_by_position(tmp_path: Path, rgb: InputSpec) -> None:
    write_shards(tmp_path, [9])
    images = opened(tmp_path, rgb)
    assert images.source.lanes == 1
    assert equal(list(batches(images).epoch(0)), list(batches(images, workers=2).epoch(0)))


def test_seeds_epochs_and_buffers_differ(images: StreamImages) -> None:
    first = list(batches(images).epoch(0))
    assert not equal(first, list(batches(images).epoch(1)))
    assert not equal(first, list(train_batches(images, 4, 4).epoch(0)))
    assert not equal(first, list(batches(images, buffer=2).epoch(0)))


def test_global_random_states_are_left_alone(images: StreamImages) -> None:
    before = torch.get_rng_state()
    list(batches(images, augment=BatchAugment()).epoch(0))
    assert torch.equal(before, torch.get_rng_state())


def test_augmentation_depends_on_epoch_and_sample_wherever_the_data_lies(
    tmp_path: Path, images: StreamImages, rgb: InputSpec
) -> None:
    whole = list(batches(images).epoch(0))
    moved = tmp_path.with_name("elsewhere")
    tmp_path.rename(moved)
    assert equal(whole, list(batches(opened(moved, rgb, augment=Augmentation())).epoch(0)))


@pytest.mark.parametrize("workers", [0, 1])
def test_processes_share_each_batch(images: StreamImages, workers: int) -> None:
    whole = list(batches(images, augment=BatchAugment(pad=2)).epoch(0, 1))
    shares = [
        list(batches(images, augment=BatchAugment(pad=2), workers=workers).epoch(0, 1, Share(rank, 3)))
        for rank in range(3)
    ]
    joined = [tuple(torch.cat(parts) for parts in zip(*of, strict=True)) for of in zip(*shares, strict=True)]
    assert [len(labels) for _, labels in shares[0]] == [1, 1, 1, 1]
    assert equal(whole, joined)


def test_nothing_before_the_start_is_decoded(images: StreamImages, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    decode = ShardImage.decode

    def counted(self: ShardImage) -> Any:
        decoded.append(self.key)
        return decode(self)

    monkeypatch.setattr(ShardImage, "decode", counted)
    list(batches(images).epoch(0, 3))
    assert len(decoded) == len(set(decoded)) == 8
    decoded.clear()
    list(batches(images).epoch(0, 0, Share(0, 4)))
    assert len(decoded) == 5


class TestDamagedImages:
    @pytest.fixture
    def damaged(self, tmp_path: Path, shards: list[Path], rgb: InputSpec) -> StreamImages:
        replace_sample(shards[0], 2, {"jpg": b"broken", "cls": 0}, 7)
        replace_sample(shards[2], 8, {"txt": "no image", "cls": 0}, 9, first=12)
        return opened(tmp_path, rgb)

    def test_the_next_of_the_order_stands_in(self, damaged: StreamImages) -> None:
        made = batches(damaged)
        keys = [raw.key for _, raw in damaged.read(Order(made.seed, 0))][:20]
        good = {raw.key: damaged.load(raw)[0] for _, raw in damaged.read() if raw.place not in ((0, 2), (2, 8))}
        found = torch.cat([part for part, _ in made.epoch(0)])
        order = [raw.key for _, raw in damaged.read(Order(made.seed, 0))]
        for key, image in zip(keys, found, strict=True):
            follow = order[order.index(key) :] + order
            assert torch.equal(image, good[next(each for each in follow if each in good)])
        assert {len(labels) for _, labels in made.epoch(0)} == {4}

    def test_resuming_and_sharing_stay_exact(self, damaged: StreamImages) -> None:
        made = batches(damaged)
        for epoch in range(3):
            whole = list(made.epoch(epoch))
            for start in range(5):
                assert equal(whole[start:], list(made.epoch(epoch, start)))
            parts = [list(made.epoch(epoch, 0, Share(rank, 2))) for rank in (0, 1)]
            joined = [tuple(map(torch.cat, zip(*pair, strict=True))) for pair in zip(*parts, strict=True)]
            assert equal(whole, joined)  # type: ignore[arg-type]
        assert equal(whole[1:], list(batches(damaged, workers=2).epoch(2, 1)))

    def test_the_last_is_followed_by_the_first(self, tmp_path: Path, rgb: InputSpec) -> None:
        path = write_shards(tmp_path / "one", [4])[0]
        replace_sample(path, 3, {"jpg": b"broken", "cls": 1}, 4)
        images = opened(tmp_path / "one", rgb)
        (found, _) = next(iter(StreamBatches(images, 4, buffer=1).epoch(0)))
        assert torch.equal(found[3], found[0])

    @pytest.mark.parametrize("workers", [0, 1])
    def test_too_many_are_refused(self, tmp_path: Path, damaged: StreamImages, rgb: InputSpec, workers: int) -> None:
        strict = opened(tmp_path, rgb, max_corrupt=0)
        with pytest.raises(DataError, match=r"1 of 23 images do not decode, more than max_corrupt=0: .*repair or"):
            for epoch in range(3):
                list(batches(strict, workers=workers).epoch(epoch))

    def test_nothing_but_damage_is_refused(self, tmp_path: Path, rgb: InputSpec) -> None:
        path = write_shards(tmp_path / "one", [1])[0]
        replace_sample(path, 0, {"jpg": b"broken", "cls": 1}, 1)
        with pytest.raises(DataError, match="None of the 1 images decodes"):
            list(StreamBatches(opened(tmp_path / "one", rgb), 1).epoch(0))


class TestFaults:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_shard_that_is_cut_off(self, images: StreamImages, shards: list[Path], workers: int) -> None:
        shards[2].write_bytes(shards[2].read_bytes()[:20000])
        with pytest.raises(DataError, match=r"Shard .*train-0002.tar is cut off or damaged after s001\d") as caught:
            list(batches(images, workers=workers).epoch(0))
        assert "Traceback" not in str(caught.value)

    def test_a_shard_that_goes_missing(self, images: StreamImages, shards: list[Path]) -> None:
        shards[1].unlink()
        with pytest.raises(DataError, match=r"Shard .*train-0001.tar cannot be read: .*No such file"):
            list(batches(images).epoch(0))

    def test_fewer_images_than_told(self, tmp_path: Path, shards: list[Path], rgb: InputSpec) -> None:
        told = opened(tmp_path, rgb, images=40)
        assert len(batches(told)) == 10
        with pytest.raises(DataError, match=r"wds/x ended after 23 images where 40 were expected; correct data.images"):
            list(batches(told).epoch(0))

    def test_more_images_than_told_are_left_out(self, tmp_path: Path, rgb: InputSpec) -> None:
        write_shards(tmp_path, [6, 6])
        told = opened(tmp_path, rgb, images=8)
        assert all(shard.length is None for shard in told.source.shards)  # type: ignore[attr-defined]
        assert len(list(batches(told).epoch(0))) == len(batches(told)) == 2

    @pytest.mark.parametrize("batch_size", [0, 24])
    def test_a_batch_size_that_does_not_fit(self, images: StreamImages, batch_size: int) -> None:
        with pytest.raises(DataError, match=rf"batch size of {batch_size} does not fit 23 images; choose 1 to 23"):
            train_batches(images, batch_size)

    def test_more_processes_than_images_of_a_batch(self, images: StreamImages) -> None:
        with pytest.raises(DataError, match="A batch of 4 images cannot be shared by 5 processes"):
            next(StreamBatches(images, 4).epoch(0, 0, Share(0, 5)))

    def test_a_stream_is_not_indexed(self, images: StreamImages) -> None:
        with pytest.raises(DataError, match="A stream has no places to draw from; use train_batches"):
            TrainBatches(images, 4)

    def test_a_buffer_is_for_streams(self, root: Path, rgb: InputSpec) -> None:
        with pytest.raises(DataError, match="shuffle buffer of 9 images is for streams"):
            train_batches(open_dataset("folder", root, input=rgb), 4, buffer=9)

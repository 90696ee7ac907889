import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from snnet.data import Augmentation, BatchAugment, EvalBatches, TensorImages, TrainBatches, eval_batches, open_dataset
from snnet.data.loader import Batch
from snnet.errors import DataError
from snnet.space import InputSpec
from snnet.utils import Share
from tests.data.image_files import truncate


def tensors(count: int = 50) -> TensorImages:
    labels = torch.arange(count)
    return TensorImages(labels.float().view(-1, 1, 1, 1).expand(-1, 1, 6, 6) + torch.rand(1, 1, 6, 6), labels, ["x"])


def dense(count: int = 20, kind: torch.dtype = torch.long) -> TensorImages:
    """Images whose first channel is their mask or depth map."""
    targets = torch.randint(1, 9, (count, 6, 5), generator=torch.Generator().manual_seed(0)).to(kind)
    return TensorImages(targets.float()[:, None].repeat(1, 2, 1, 1), targets, [str(number) for number in range(9)])


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))


@pytest.fixture
def folder_batches(root: Path, rgb: InputSpec) -> TrainBatches:
    return TrainBatches(open_dataset("folder", root, input=rgb, augment=Augmentation()), 5, seed=3)


class TestInMemory:
    def test_an_epoch_is_a_shuffle_without_the_rest(self) -> None:
        batches = TrainBatches(tensors(), 8)
        seen = torch.cat([labels for _, labels in batches.epoch(0)])
        assert len(batches) == 6
        assert batches.images == 50
        assert len(seen) == len(seen.unique()) == 48
        assert not torch.equal(seen, seen.sort().values)

    def test_images_stay_with_their_labels(self) -> None:
        for images, labels in TrainBatches(tensors(), 8, augment=BatchAugment(pad=0)).epoch(0):
            assert torch.equal(images[:, 0, 0, 0].floor().long(), labels)

    def test_epochs_and_seeds_differ_and_repeat(self) -> None:
        augment = BatchAugment(pad=1)
        data = tensors()
        batches = TrainBatches(data, 8, 1, augment)
        first = list(batches.epoch(0))
        assert equal(first, list(TrainBatches(data, 8, 1, augment).epoch(0)))
        assert not equal(first, list(batches.epoch(1)))
        assert not equal(first, list(TrainBatches(data, 8, 2, augment).epoch(0)))

    @pytest.mark.parametrize("start", [0, 1, 5, 6])
    def test_an_epoch_entered_later_is_the_rest_of_the_whole(self, start: int) -> None:
        batches = TrainBatches(tensors(), 8, 1, BatchAugment(pad=2))
        assert equal(list(batches.epoch(4))[start:], list(batches.epoch(4, start)))

    def test_a_tensor_data_set_of_torch_will_do(self) -> None:
        data = tensors()
        plain = TensorDataset(data.images, data.labels)
        assert equal(list(TrainBatches(plain, 8).epoch(0)), list(TrainBatches(data, 8).epoch(0)))

    @pytest.mark.parametrize("batch_size", [0, 51])
    def test_a_batch_size_that_does_not_fit(self, batch_size: int) -> None:
        with pytest.raises(DataError, match=rf"batch size of {batch_size} does not fit 50 images; choose 1 to 50"):
            TrainBatches(tensors(), batch_size)


class TestFromFiles:
    def test_workers_and_resuming_change_nothing(self, folder_batches: TrainBatches) -> None:
        whole = list(folder_batches.epoch(2))
        for workers in (0, 1, 2):
            again = TrainBatches(folder_batches.dataset, 5, seed=3, workers=workers)
            torch.rand(3)
            assert equal(whole, list(again.epoch(2)))
            assert equal(whole[1:], list(again.epoch(2, 1)))

    def test_global_random_states_are_left_alone(self, folder_batches: TrainBatches) -> None:
        for workers in (0, 1):
            before = torch.get_rng_state()
            list(TrainBatches(folder_batches.dataset, 5, workers=workers).epoch(0))
            assert torch.equal(before, torch.get_rng_state())

    def test_an_image_is_varied_from_epoch_to_epoch(self, root: Path, rgb: InputSpec) -> None:
        batches = TrainBatches(open_dataset("folder", root, input=rgb, augment=Augmentation()), 12)
        (first, labels), (second, again) = (next(batches.epoch(epoch)) for epoch in (0, 1))
        assert sorted(labels.tolist()) == sorted(again.tolist())
        assert not torch.equal(first.sum(0), second.sum(0))

    def test_whole_batches_are_augmented_too(self, root: Path, rgb: InputSpec) -> None:
        batches = TrainBatches(open_dataset("folder", root, input=rgb), 5, augment=BatchAugment(pad=4))
        plain = TrainBatches(open_dataset("folder", root, input=rgb), 5)
        assert not equal(list(batches.epoch(0)), list(plain.epoch(0)))
        assert equal(list(batches.epoch(0))[1:], list(batches.epoch(0, 1)))


class TestDamagedImages:
    @pytest.fixture
    def damaged(self, root: Path) -> Path:
        truncate(root / "train" / "cat" / "2.jpg")
        truncate(root / "val" / "dog" / "2.jpg")
        return root

    @pytest.mark.parametrize("workers", [0, 1])
    def test_training_takes_the_next_good_one(self, damaged: Path, rgb: InputSpec, workers: int) -> None:
        dataset = open_dataset("folder", damaged, input=rgb)
        batches = TrainBatches(dataset, 12, workers=workers)
        images, _ = next(iter(batches.epoch(0)))
        assert len(images) == 12
        order = [
            index for image in images for index in range(12) if index != 2 and torch.equal(image, dataset[index][0])
        ]
        assert sorted(order) == [0, 1, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]

    @pytest.mark.parametrize("workers", [0, 1])
    def test_evaluation_leaves_them_out_and_counts(
        self, damaged: Path, rgb: InputSpec, workers: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        batches = eval_batches(open_dataset("folder", damaged, "validation", input=rgb), 4, workers)
        for _ in range(2):
            assert [labels.tolist() for _, labels in batches] == [[0, 0, 0, 1], [1]]
        assert batches.images == 5
        assert len(batches.skipped) == 1
        with caplog.at_level(logging.WARNING):
            list(eval_batches(open_dataset("folder", damaged, "validation", input=rgb), 4))
        assert "1 of 6 images do not decode and were skipped:" in caplog.text
        assert "val/dog/2.jpg" in caplog.text

    def test_a_batch_of_nothing_but_damage_does_not_come(self, damaged: Path, rgb: InputSpec) -> None:
        batches = eval_batches(open_dataset("folder", damaged, "validation", input=rgb), 1)
        assert len(batches) == 6
        assert len(list(batches)) == 5

    @pytest.mark.parametrize("workers", [0, 1])
    def test_too_many_are_refused(self, damaged: Path, rgb: InputSpec, workers: int) -> None:
        dataset = open_dataset("folder", damaged, input=rgb, max_corrupt=0)
        expected = r"1 of 12 images do not decode, more than max_corrupt=0: .*cat/2.jpg; repair or remove"
        with pytest.raises(DataError, match=expected):
            list(TrainBatches(dataset, 4, workers=workers).epoch(0))

    def test_nothing_but_damage_is_refused(self, root: Path, rgb: InputSpec) -> None:
        for path in (root / "val").rglob("*.*"):
            truncate(path)
        dataset = open_dataset("folder", root, "validation", input=rgb)
        with pytest.raises(DataError, match=r"None of the 6 images decodes; the first: .*val/cat/0.jpg"):
            list(eval_batches(dataset, 4))
        with pytest.raises(DataError, match="None of the 6 images decodes"):
            list(TrainBatches(dataset, 3).epoch(0))


def test_evaluation_goes_through_memory_in_order_any_number_of_times() -> None:
    data = tensors(10)
    batches = eval_batches(data, 4)
    assert (len(batches), batches.images, batches.batch_size) == (3, 10, 4)
    for _ in range(2):
        images: list[Tensor] = [images for images, _ in batches]
        assert [len(part) for part in images] == [4, 4, 2]
        assert torch.equal(torch.cat(images), data.images)
    with pytest.raises(DataError, match="batch size of 0 is too small"):
        eval_batches(data, 0)


def test_a_batch_larger_than_the_set_names_the_setting() -> None:
    with pytest.raises(DataError, match=r"128 does not fit 50 images; .* batch_size=50 .*--data\.batch-size 50"):
        TrainBatches(tensors(), 128)


@pytest.mark.parametrize("augment", [None, BatchAugment()])
@pytest.mark.parametrize("in_memory", [True, False])
def test_shares_of_a_batch_are_the_batch(augment: BatchAugment | None, in_memory: bool) -> None:
    data = tensors(20)
    batches = TrainBatches(data if in_memory else list(data), 8, 5, augment)  # type: ignore[arg-type]
    parts = [list(batches.epoch(1, 1, Share(rank, 3))) for rank in range(3)]
    for whole, *shares in zip(batches.epoch(1, 1), *parts, strict=True):
        assert [len(labels) for _, labels in shares] == [2, 2, 4]
        for place in (0, 1):
            assert torch.equal(torch.cat([share[place] for share in shares]), whole[place])


def test_only_images_of_the_own_share_are_read() -> None:
    read: list[int] = []

    class Reading(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            read.append(index)
            return torch.zeros(1, 2, 2), index

    labels = torch.cat([labels for _, labels in TrainBatches(Reading(), 4).epoch(0, 0, Share(1, 2))])
    assert sorted(read) == sorted(labels.tolist()) and len(read) == 6
    read.clear()
    own = EvalBatches(Reading(), 4).of(Share(0, 5))
    assert [labels.tolist() for _, labels in own] == [[0, 1]] and read == [0, 1] and len(own) == 1


@pytest.mark.parametrize("kind", [torch.long, torch.float32])
@pytest.mark.parametrize("in_memory", [True, False])
class TestDenseTargets:
    def batches(self, kind: torch.dtype, in_memory: bool, augment: BatchAugment | None = None) -> TrainBatches:
        data = dense(20, kind)
        return TrainBatches(data if in_memory else list(data), 8, 5, augment)  # type: ignore[arg-type]

    def test_targets_stay_with_their_images(self, kind: torch.dtype, in_memory: bool) -> None:
        seen = list(self.batches(kind, in_memory).epoch(0))
        assert len(seen) == 2
        for images, targets in seen:
            assert targets.shape == (8, 6, 5) and targets.dtype == kind
            assert torch.equal(images[:, 0], targets.float())

    def test_targets_move_with_their_images(self, kind: torch.dtype, in_memory: bool) -> None:
        moved = self.batches(kind, in_memory, BatchAugment(pad=2, fill=-1.0)).epoch(0)
        still = self.batches(kind, in_memory).epoch(0)
        for (images, targets), (before, _) in zip(moved, still, strict=True):
            assert targets.dtype == kind
            uncovered = images[:, 0] == -1
            assert torch.equal(images[:, 0][~uncovered], targets[~uncovered].float())
            assert set(targets[uncovered].tolist()) == ({255} if kind == torch.long else {0.0})
            assert not torch.equal(images, before)

    def test_entering_late_and_shares_change_nothing(self, kind: torch.dtype, in_memory: bool) -> None:
        batches = self.batches(kind, in_memory, BatchAugment())
        whole = list(batches.epoch(3))
        assert equal(whole[1:], list(batches.epoch(3, 1)))
        parts = [list(batches.epoch(3, 0, Share(rank, 3))) for rank in range(3)]
        for batch, *shares in zip(whole, *parts, strict=True):
            for place in (0, 1):
                assert torch.equal(torch.cat([share[place] for share in shares]), batch[place])

    def test_evaluation_goes_through_all_in_order(self, kind: torch.dtype, in_memory: bool) -> None:
        data = dense(20, kind)
        batches = eval_batches(data if in_memory else list(data), 8)  # type: ignore[arg-type]
        assert torch.equal(torch.cat([targets for _, targets in batches]), data.labels)
        own = EvalBatches(data, 4, share=Share(1, 2))
        assert torch.equal(torch.cat([targets for _, targets in own]), data.labels[10:])

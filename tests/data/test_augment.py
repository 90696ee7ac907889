"""Shift and mirroring of whole batches: `BatchAugment` in `transforms.py`."""

import pytest
import torch

from snnet.data import BatchAugment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_image_is_a_shift_of_itself_or_of_its_mirror_image() -> None:
    images = torch.rand(20, 2, 6, 5)
    padded = torch.nn.functional.pad(images, (2,) * 4, value=-1.0)
    for image, source, out in zip(images, padded, BatchAugment(pad=2, fill=-1.0)(images, generator()), strict=True):
        shifts = [source[:, t : t + 6, x : x + 5] for t in range(5) for x in range(5)]
        assert image.shape == out.shape
        assert any(torch.equal(out, s) or torch.equal(out, s.flip(2)) for s in shifts)


def test_the_same_generator_gives_the_same_images_and_leaves_the_global_one_alone() -> None:
    images, before = torch.rand(8, 1, 28, 28), torch.get_rng_state()
    first, again, other = (BatchAugment()(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_no_shift_and_no_flip_change_nothing() -> None:
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(BatchAugment(pad=0, flip=False)(images), images)


@pytest.mark.parametrize("flip", [True, False])
def test_about_half_of_the_images_are_mirrored_only_if_asked(flip: bool) -> None:
    images = torch.arange(8.0).expand(400, 1, 8, 8)
    out = BatchAugment(pad=0, flip=flip)(images, generator())
    mirrored = (out[:, 0, 0, 0] == 7).sum().item()
    assert 150 < mirrored < 250 if flip else mirrored == 0


@pytest.mark.parametrize("kind", [torch.long, torch.float32])
def test_targets_move_as_their_images_do(kind: torch.dtype) -> None:
    targets = torch.randint(1, 100, (50, 9, 7), generator=generator(1)).to(kind)
    images = targets.float()[:, None].repeat(1, 3, 1, 1)
    moved, found = BatchAugment(pad=3, fill=-1.0).with_targets(images, targets, generator())
    assert torch.equal(moved, BatchAugment(pad=3, fill=-1.0)(images, generator()))
    uncovered = moved[:, 0] < 0
    assert uncovered.any() and found.dtype == kind
    assert torch.equal(found[~uncovered].float(), moved[:, 1][~uncovered])
    assert (found[uncovered] == (255 if kind == torch.long else 0)).all()


def test_labels_stay_when_images_move() -> None:
    images, labels = torch.rand(8, 1, 6, 6), torch.arange(8)
    moved, same = BatchAugment().with_targets(images, labels, generator())
    assert same is labels
    assert torch.equal(moved, BatchAugment()(images, generator()))

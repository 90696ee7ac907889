"""Pictures of any size: windows that overlap against a direct pass, sums by hand, and two processes."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from snnet.anchors import anchor_from_modules
from snnet.data import CleanPair, ImageDataset, ImageSource, eval_batches, open_dataset
from snnet.errors import DataError, RecipeError, TableError
from snnet.evaluation import Windows, evaluate
from snnet.network import SNNet, Tree, stitch
from snnet.table import StitchTable
from snnet.tasks import Depth, Segmentation, Task
from snnet.utils import distributed
from tests.conftest import build_tiny_net
from tests.distributed import fork
from tests.helpers.dense import dense_data, dense_net


class Pixelwise(nn.Module):
    """Sees each pixel by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 1)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(width, width, 1), nn.Tanh()) for _ in range(3))
        self.last = nn.Linear(width, 2)
        self.pretrained_cfg = {"fixed_input_size": False}

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        for block in self.blocks:
            features = block(features)
        logits: Tensor = self.last(features.mean((2, 3)))
        return logits


class Pixels(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.last = nn.Conv2d(width, outputs, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        outputs: Tensor = self.last(maps[-1])
        return outputs


def pixelwise_net(task: Task | None = None, outputs: int = 3) -> SNNet:
    torch.manual_seed(0)
    parts: dict[str, Any] = {"stem": ["stem"], "stages": ["blocks"], "head": [lambda x: x.mean((2, 3)), "last"]}
    anchors = [
        anchor_from_modules(Pixelwise(width), **parts, input=(1, 12, 16), name=f"pixels{width}") for width in (4, 6)
    ]
    net = stitch(*anchors, kernel_size=2, stride=1).eval()
    return net.set_head(Pixels(6, outputs), outputs, task=task or Segmentation(), taps=1)


def pictures(count: int = 5, least: tuple[int, int] = (12, 16)) -> list[tuple[Tensor, Tensor]]:
    """Batches of one picture each, all of other sizes, with targets of their size."""
    draws = torch.Generator().manual_seed(0)
    found = []
    for number in range(count):
        size = (least[0] + 5 * number, least[1] + 3 * (count - number))
        images = torch.randn(1, 1, *size, generator=draws)
        found.append((images, torch.randint(3, (1, *size), generator=draws)))
    return found


@pytest.mark.parametrize("stride", [0.2, 0.5, 2 / 3, 1.0])
@pytest.mark.parametrize(("task", "outputs"), [(Segmentation(), 3), (Depth(), 1)])
def test_windows_over_a_network_of_single_pixels_change_nothing(stride: float, task: Task, outputs: int) -> None:
    net = pixelwise_net(task, outputs)
    data = [(images, targets if outputs == 3 else targets + 0.5) for images, targets in pictures()]
    # The network takes any size, so that the plain way sees whole pictures, too.
    direct, whole = evaluate(net, data), evaluate(net, data, windows="whole")
    slid = evaluate(net, data, windows=Windows(kind="slide", stride=stride))
    assert len(direct) == len(net.space) > 2
    for row in direct:
        assert dict(whole[row.stitch].values) == dict(row.values)
        assert dict(slid[row.stitch].values) == pytest.approx(dict(row.values), rel=1e-6)


def test_overlapping_outputs_are_the_mean_of_what_windows_give_where_mmsegmentation_has_them() -> None:
    net = dense_net("segmentation")
    images = torch.randn(2, 1, 61, 40, generator=torch.Generator().manual_seed(0))
    tree = Tree()
    tree.add(net.space[2], net.steps(2))
    with torch.no_grad():
        [(name, found)] = Windows(kind="slide").run(net, tree, images, (61, 40))
        sums, times = torch.zeros(2, 3, 61, 40), torch.zeros(61, 40)
        # As `slide_inference` of mmseg's EncoderDecoder: a stride of 18 pixels and windows of 28.
        for row in range(max(61 - 28 + 18 - 1, 0) // 18 + 1):
            for column in range(max(40 - 28 + 18 - 1, 0) // 18 + 1):
                bottom, right = min(row * 18 + 28, 61), min(column * 18 + 28, 40)
                place = (..., slice(bottom - 28, bottom), slice(right - 28, right))
                sums[place] += net(images[place], 2)
                times[place] += 1
    assert name == net.space[2].id and times.max() == 4
    torch.testing.assert_close(found, sums / times, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["segmentation", "depth"])
def test_pictures_of_just_the_input_s_size_score_as_ever(kind: str) -> None:
    net, data = dense_net(kind), dense_data(kind)
    plain = evaluate(net, data, batch_size=1)
    slid = evaluate(net, data, windows="slide")
    assert [dict(row.values) for row in slid] == [dict(row.values) for row in plain]


def test_scores_are_at_the_target_s_own_size() -> None:
    net = dense_net("segmentation")
    images = torch.randn(1, 1, 28, 42, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(3, (1, 50, 75), generator=torch.Generator().manual_seed(1))
    table = evaluate(net, [(images, targets)], stitches=[0], windows="slide")
    with torch.no_grad():
        left, right = net(images[..., :28], 0), net(images[..., 14:], 0)
    outputs = torch.cat([left[..., :14], (left[..., 14:] + right[..., :14]) / 2, right[..., 14:]], 3)
    guess = nn.functional.interpolate(outputs, (50, 75), mode="bilinear").argmax(1)
    accuracy = 100 * (guess == targets).double().mean()
    assert table[net.space[0]].values["pixel_accuracy"] == pytest.approx(float(accuracy), abs=0.05)


class Shapes(ImageSource):
    """Pictures of many sizes with their masks."""

    target, classes = "mask", ("dark", "grey", "bright")
    sizes = ((28, 28), (90, 60), (40, 70), (28, 200))

    def __len__(self) -> int:
        return len(self.sizes)

    def read(self, index: int) -> tuple[Image.Image, Tensor]:
        mask = np.random.default_rng(index).integers(0, 3, self.sizes[index])
        return Image.fromarray((mask * 100).astype(np.uint8)), torch.from_numpy(mask)


def shapes(net: SNNet) -> ImageDataset:
    clean = CleanPair(replace(net.input, crop_pct=1.0))
    return ImageDataset(Shapes(), clean, clean)


def test_data_sets_give_whole_pictures_with_targets_of_their_own_size() -> None:
    net = dense_net("segmentation")
    data = shapes(net)
    assert [tuple(image.shape) for image, _ in (data[n] for n in range(4))] == [(1, 28, 28)] * 4
    whole = data.whole()
    assert [tuple(image.shape[1:]) for image, _ in (whole[n] for n in range(4))] == [
        (28, 28),
        (42, 28),
        (28, 49),
        (28, 200),
    ]
    assert [tuple(target.shape) for _, target in (whole[n] for n in range(4))] == list(Shapes.sizes)
    assert torch.equal(whole[0][0], data[0][0]) and whole.skipped is data.skipped
    expected = evaluate(net, eval_batches(whole, 1), windows="slide")
    assert [row.values for row in evaluate(net, data, windows="slide")] == [row.values for row in expected]
    assert [row.values for row in evaluate(net, eval_batches(data, 4), windows="slide")] == [
        row.values for row in expected
    ]
    assert expected.meta["images"] == 4 and expected.meta["evaluation"]["windows"] == "slide 0.666667"


def run_together(directory: Path) -> None:
    """Evaluate data sets and lists of pictures in all of the processes."""
    with distributed.joined("cpu"):
        for name, data in (("shapes", shapes(dense_net("segmentation"))), ("list", pictures(3, (28, 28)))):
            evaluate(dense_net("segmentation"), data, windows="slide", output=directory / f"{name}.jsonl")


def test_two_processes_score_as_one_does(tmp_path: Path) -> None:
    both = fork(2, partial(run_together, tmp_path), tmp_path / "told.txt")
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0], (tmp_path / "told.txt").read_text()
    net = dense_net("segmentation")
    for name, data in (("shapes", shapes(net)), ("list", pictures(3, (28, 28)))):
        alone, several = evaluate(net, data, windows="slide"), StitchTable.load(tmp_path / f"{name}.jsonl")
        for row in alone:
            assert dict(several[row.stitch].values) == pytest.approx(dict(row.values), abs=1e-9)


def test_scores_of_other_windows_are_not_taken_over(tmp_path: Path) -> None:
    net, output = pixelwise_net(), tmp_path / "table.jsonl"
    evaluate(net, pictures(), windows="slide", output=output)
    evaluate(net, pictures(), windows="slide", output=output)
    for other in ("none", "whole", Windows(kind="slide", stride=0.5)):
        with pytest.raises(TableError, match="other windows"):
            evaluate(net, pictures(), windows=other, output=output)  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused() -> None:
    net, labels = dense_net("segmentation"), build_tiny_net()
    small, mask = torch.zeros(1, 1, 28, 20), torch.zeros(1, 28, 20, dtype=torch.int64)
    with pytest.raises(DataError, match=r"picture of 28x20 is smaller than a window of 28x28"):
        evaluate(net, [(small, mask)], windows="slide")
    with pytest.raises(DataError, match=r"picture of 28x20 .* a target of 28x28, and is no resized picture"):
        evaluate(net, [(small, torch.zeros(1, 28, 28, dtype=torch.int64))], windows="slide")
    with pytest.raises(DataError, match=r"Label 3 in a mask does not fit a network of 3 classes"):
        evaluate(net, [(torch.zeros(1, 1, 30, 30), torch.full((1, 30, 30), 3))], windows="slide")
    with pytest.raises(DataError, match=r"must be two tensors \(images, masks\)"):
        evaluate(net, [(small,)], windows="slide")
    with pytest.raises(DataError, match=r"images \(B, C, H, W\) with masks"):
        evaluate(net, [(small[0], mask)], windows="slide")
    with pytest.raises(DataError, match=r"windows='whole' needs anchors .* vit_tiny.* takes 28x28 alone; .*'slide'"):
        evaluate(net, dense_data("segmentation"), windows="whole")
    with pytest.raises(DataError, match=r"windows='slide' is for networks that end in maps.*Classification"):
        evaluate(labels, [(torch.zeros(1, 1, 28, 28), torch.zeros(1).long())], windows="slide")
    with pytest.raises(RecipeError, match=r"kind: .*'none', 'slide' or 'whole', got 'slid'.*Did you mean 'slide'"):
        evaluate(net, dense_data("segmentation"), windows="slid")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"stride: .*greater than 0, got 0"):
        Windows(stride=0)
    with pytest.raises(DataError, match="Whole pictures are for masks and depth maps"):
        ImageDataset(Shapes(), torch.nn.Identity(), torch.nn.Identity()).whole()
    images = open_dataset("scenes/8", split="train", input=net.input, target="mask")
    assert images.whole() is images

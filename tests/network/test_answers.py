from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import snnet
from snnet.data import ImageDataset, eval_batches, open_dataset
from snnet.errors import BudgetError, DataError, EngineError, SpaceError
from snnet.network import Label, Prediction, SNNet, stitch
from snnet.table import StitchRow, StitchTable
from tests.conftest import build_tiny_net
from tests.data.image_files import write_split

GARMENTS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@pytest.fixture
def net() -> SNNet:
    """A tiny network with a table: the more blocks of the larger anchors, the dearer and the better."""
    net = build_tiny_net()
    rows = [StitchRow(n, str(s), {"macs": 10.0 + n, "top1": 50.0 + n % 7}) for n, s in enumerate(net.space)]
    net.table = StitchTable(rows)
    net.classes = GARMENTS
    return net


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def reference(net: SNNet, images: torch.Tensor, route: Any) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return net(images, route).softmax(1).double().numpy()


def test_a_picture_its_path_and_its_tensor_get_the_same_answer(net: SNNet, photo: Path) -> None:
    [expected] = reference(net, net.transform(photo)[None], 5)
    for given in (photo, str(photo), Image.open(photo), net.transform(photo)):
        found = net.predict(given, 5)
        assert isinstance(found, Prediction)
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
        assert found.stitch == net.space[5]
        assert found.label == GARMENTS[int(expected.argmax())]
        assert found.probability == pytest.approx(expected.max(), abs=1e-6)


def test_a_list_gives_a_list_and_a_batch_too(net: SNNet, photo: Path) -> None:
    images = torch.stack([net.transform(photo), torch.zeros(1, 28, 28), torch.ones(1, 28, 28)])
    expected = reference(net, images, "0:0-2,1:2-4")
    for given in (images, list(images), iter(images), images.numpy(), [photo, *images[1:]]):
        found = net.predict(given, "0:0-2,1:2-4")
        assert isinstance(found, list) and len(found) == 3
        np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-6)
    assert len(net.predict([photo], 0)) == 1  # type: ignore[arg-type]


def test_many_images_are_run_in_parts(net: SNNet) -> None:
    images = torch.linspace(-0.8, 2, 70 * 784).reshape(70, 1, 28, 28)
    sizes = []
    net.register_forward_hook(lambda module, given, result: sizes.append(len(given[0])))
    found = net.predict(images, 3)
    assert sizes == [32, 32, 6]
    np.testing.assert_allclose([one.probabilities for one in found], reference(net, images, 3), atol=1e-6)  # type: ignore[union-attr]
    sizes.clear()
    assert len(net.predict(images, macs=12, batch=50)) == 70  # type: ignore[arg-type]
    assert sizes == [50, 20]


def test_top(net: SNNet, photo: Path) -> None:
    found = net.predict(photo, 0)
    assert isinstance(found, Prediction)
    order = np.argsort(found.probabilities)[::-1]
    assert found.top(3) == [Label(GARMENTS[n], found.probabilities[n]) for n in order[:3]]
    assert len(found.top()) == 5 and len(found.top(99)) == 10
    assert sum(label.probability for label in found.top(10)) == pytest.approx(1)
    assert repr(found) == f"Prediction({found.label!r}, {found.probability:.4f}, stitch='0:0-4')"


def test_without_names_labels_are_numbers(net: SNNet, photo: Path) -> None:
    net.classes = None
    found = net.predict(photo, 0)
    assert isinstance(found, Prediction)
    assert found.label == int(found.probabilities.argmax()) and isinstance(found.label, int)


def test_the_best_within_a_budget_answers(net: SNNet, photo: Path) -> None:
    for budget in ({"macs": 13}, {"macs": 16, "prefer": "macs"}):
        assert net.predict(photo, **budget).stitch == net.select(**budget)  # type: ignore[union-attr, arg-type]


def test_without_stitch_and_budget_the_best_known_answers(net: SNNet, photo: Path) -> None:
    assert net.predict(photo).stitch == net.space[6]  # type: ignore[union-attr]
    net.table = net.table.without("top1")  # type: ignore[union-attr]
    assert net.predict(photo).stitch == net.space[2]  # type: ignore[union-attr]
    net.table = None
    assert str(net.predict(photo).stitch) == "2:0-4"  # type: ignore[union-attr]


def test_the_transform_is_that_of_evaluation(tmp_path: Path) -> None:
    net = build_tiny_net()
    write_split(tmp_path / "train")
    data = open_dataset("folder", tmp_path, "train", input=net.input)
    assert isinstance(data, ImageDataset)
    assert len(data) == 12
    for number, path in enumerate(data.source.paths):  # type: ignore[attr-defined]
        assert torch.equal(net.transform(path), data[number][0])


def test_embedded_images_get_the_answers_of_evaluation() -> None:
    net = stitch("vit_fm_tiny", "vit_fm_small", pretrained=True)
    data = open_dataset("embedded", split="validation", input=net.input).some(range(40))
    table = snnet.evaluate(net, eval_batches(data, 40), stitches=[0])
    pixels = [Image.fromarray((image[0] * 0.353 + 0.286).mul(255).round().byte().numpy()) for image in data.images]  # type: ignore[union-attr]
    assert torch.equal(net.transform(pixels[0]), data[0][0])
    found = [one.label for one in net.predict(pixels, 0)]  # type: ignore[union-attr]
    right = sum(found[number] == data[number][1] for number in range(40))
    assert table[0].top1 == pytest.approx(100 * right / 40)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no image to predict"),
        (torch.zeros(0, 1, 28, 28), "no image to predict"),
        (torch.zeros(2, 3, 28, 28), r"shape \(1, 28, 28\), got \(3, 28, 28\)"),
        (torch.zeros(1, 32, 32), r"shape \(1, 28, 28\), got \(1, 32, 32\)"),
        (torch.zeros(28, 28), r"shape \(1, 28, 28\), got \(28,\)"),
        (np.zeros((28, 28, 3), np.uint8), r"got \(28, 28, 3\); give a picture"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "holds uint8 from 0 to 0"),
        (torch.full((1, 28, 28), 200.0), "holds float32 from 200.0 to 200.0, and normalized ones lie between -1 and 1"),
        (torch.full((1, 28, 28), torch.nan), "from nan to nan"),
        ("nothing.jpg", r"nothing\.jpg cannot be read"),
        (7, "int is no picture"),
        ([Path(__file__)], r"test_answers\.py is not an image that Pillow reads"),
    ],
)
def test_what_cannot_be_predicted(net: SNNet, given: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        net.predict(given, 0)


def test_a_stitch_that_cannot_answer(net: SNNet, photo: Path) -> None:
    with pytest.raises(BudgetError, match="lowest macs there is: 10 "):
        net.predict(photo, macs=1)
    with pytest.raises(SpaceError, match=r"stitch=3 and a budget \(macs\) are both given"):
        net.predict(photo, 3, macs=20)
    with pytest.raises(SpaceError):
        net.predict(photo, 999)
    net.table = None
    with pytest.raises(BudgetError, match="no table to choose from"):
        net.predict(photo, macs=20)


def test_names_that_are_not_as_many_as_logits(net: SNNet, photo: Path) -> None:
    net.classes = GARMENTS[:9]
    with pytest.raises(DataError, match="9 names of classes and gives 10 logits"):
        net.predict(photo, 0)


def test_logits_that_are_not_finite(net: SNNet, photo: Path) -> None:
    with torch.no_grad():
        net.parameters_of(0)[0].fill_(torch.nan)
    with pytest.raises(EngineError, match="Stitch 0:0-4 gives logits that are not finite"):
        net.predict(photo, 0)

"""Masks and depth maps over HTTP, of a service that gives the same for every picture, and of real ones."""

import json
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from snnet.export.bundle import write_bundle
from snnet.network import MapPrediction, MaskPrediction, SNNet, palette
from snnet.serving import Answered, Asked, FrontSettings, build_app
from snnet.serving.front.documents import Segmented
from snnet.space import OutputSpec
from snnet.tasks import Depth
from tests.cli.test_serve import Server, asked, infer
from tests.helpers.mapped import build_dense_net
from tests.serving.front.service import IMAGES, SIZE, FakeService, eventually, png, request


class DenseService(FakeService):
    """The left of every picture is of class 1, the right of class 3."""

    def __init__(self, activation: str = "softmax", count: int = 4) -> None:
        super().__init__()
        self.output, self.class_count = OutputSpec(activation, dense=True), count  # type: ignore[arg-type]
        self.classes = ("ant", "bee", "cat", "dög") if count == 4 else None

    async def ask(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        logits = np.zeros((len(asked.images), self.class_count, *SIZE[1:]), np.float32)
        logits[:, -1, :, 2:] = 8
        logits[:, self.class_count // 3, :, :2] = 8
        return Answered(logits, "0:0-3", 61.5, 2, 1.5, 2.5)


def client_of(service: FakeService) -> TestClient:
    return TestClient(build_app(service, FrontSettings()), raise_server_exceptions=False)


def test_a_picture_becomes_a_png_of_its_own_size() -> None:
    service = DenseService()
    answer = client_of(service).post("/segment", content=png(50, 40))
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    with Image.open(BytesIO(answer.content)) as mask:
        assert mask.mode == "P" and mask.size == (50, 40)
        numbers = np.asarray(mask)
    assert (numbers[:, :19] == 1).all() and (numbers[:, 21:] == 3).all()
    classes = json.loads(answer.headers["snnet-classes"])
    assert [(one["number"], one["name"]) for one in classes] == [(3, "dög"), (1, "bee")]
    assert sum(one["share"] for one in classes) == pytest.approx(1) and classes[0]["share"] == pytest.approx(
        0.6, abs=0.02
    )
    assert classes[1]["color"] == "#800000" and tuple(bytes.fromhex(classes[0]["color"][1:])) == palette(4)[3]
    assert json.loads(answer.headers["snnet-answer"])["stitch"] == "0:0-3"


def test_json_holds_the_same(service: FakeService) -> None:
    client = client_of(DenseService())
    found = client.post("/segment?format=json", files={"image": png(50, 40)}).json()
    raw = client.post("/segment", content=png(50, 40))
    assert b64decode(found["png"]) == raw.content and (found["height"], found["width"]) == (40, 50)
    assert Segmented.model_validate(found).model_dump(exclude_none=True) == found, "as /openapi.json says"
    assert found["classes"] == json.loads(raw.headers["snnet-classes"]) and found["score"] == 61.5
    shown = client.get("/openapi.json").json()["paths"]
    assert "/segment" in shown and "/classify" not in shown
    assert "/segment" not in client_of(service).get("/openapi.json").json()["paths"]


def test_depths_are_grey_with_their_scale() -> None:
    client = client_of(DenseService("none", 1))
    answer = client.post("/segment", content=png(50, 40))
    assert answer.headers["snnet-scale"] == "256.0"
    with Image.open(BytesIO(answer.content)) as depth:
        assert depth.size == (50, 40) and int(np.asarray(depth).max()) == 8 * 256
    found = client.post("/segment?format=json", content=png(50, 40)).json()
    assert (found["max"], found["scale"]) == (8.0, 256.0) and "classes" not in found
    far = client_of(DenseService("exp", 1)).post("/segment", content=png(50, 40))
    with Image.open(BytesIO(far.content)) as depth:
        assert np.asarray(depth).max() / float(far.headers["snnet-scale"]) == pytest.approx(np.exp(8), rel=1e-4)
    several = client_of(DenseService("none", 2)).post("/segment", content=png(50, 40))
    assert several.status_code == 400 and "several numbers for each pixel" in several.json()["error"]


@pytest.mark.parametrize(
    ("service", "place", "words"),
    [
        (DenseService(), "/classify", "gives no classes of whole pictures; POST a picture to /segment"),
        (FakeService(), "/segment", "gives no masks; POST a picture to /classify"),
    ],
)
def test_what_a_service_does_not_give(service: FakeService, place: str, words: str) -> None:
    answer = client_of(service).post(place, content=png(9, 7))
    assert answer.status_code == 404 and words in answer.json()["error"] and not service.asked


def test_wrong_wishes() -> None:
    client = client_of(DenseService())
    assert client.post("/segment?format=bmp", content=png(9, 7)).status_code == 400
    assert client.post("/segment?top=3", content=png(9, 7)).status_code == 400
    assert client.post("/segment", content=b"no picture").status_code == 400


def test_the_protocol_gives_the_tensor_as_it_is() -> None:
    client = client_of(DenseService())
    assert client.get("/v2/models/tiny").json()["outputs"][0]["shape"] == [-1, 4, 4, 5]
    answer = client.post("/v2/models/tiny/infer", json=request()).json()
    assert answer["outputs"][0]["shape"] == [2, 4, 4, 5] and len(answer["outputs"][0]["data"]) == 160


def test_a_header_holds_as_many_classes_as_fit() -> None:
    service = DenseService(count=4)
    service.classes = tuple(f"{letter * 4000}" for letter in "abcd")
    classes = json.loads(client_of(service).post("/segment", content=png(50, 40)).headers["snnet-classes"])
    assert [one["number"] for one in classes] == [3]


@pytest.fixture(scope="module")
def net() -> SNNet:
    return build_dense_net()


def photo(place: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)).save(place / "photo.png")
    return place / "photo.png"


@pytest.mark.slow
def test_a_network_is_served_and_its_page_shows_masks(net: SNNet, browser: Any, tmp_path: Path) -> None:
    net.save_pretrained(tmp_path / "net")
    server, picture = Server(str(tmp_path / "net"), "--slo-ms", "5000", "--max-batch", "2"), photo(tmp_path)
    address = server.addresses["http"]
    status, answer = infer(address)
    assert status == 200 and answer["outputs"][0]["shape"] == [1, 5, 28, 28]
    status, found = asked(address, "POST", "/segment?format=json", picture.read_bytes())
    expected = net.predict(picture, found["stitch"])
    assert status == 200 and isinstance(expected, MaskPrediction)
    with Image.open(BytesIO(b64decode(found["png"]))) as mask:
        assert (np.asarray(mask) == expected.mask).mean() > 0.999
    assert asked(address, "POST", "/classify", picture.read_bytes())[0] == 404
    live = asked(address, "GET", "/live")[1]
    assert live["dense"] and live["score_name"] == "mIoU %" and max(one["score"] for one in live["stitches"]) == 24.0
    browser.get(address)
    assert eventually(lambda: "ready" in browser.find_element("id", "state").text)
    browser.find_element("id", "file").send_keys(str(picture))
    assert eventually(lambda: browser.find_elements("css selector", "#labels li")), browser.find_element(
        "id", "said"
    ).text
    lines = [one.text for one in browser.find_elements("css selector", "#labels li")]
    assert len(lines) == len(expected.shares) and lines[0].startswith(str(expected.shares[0].name))
    shown, mask = (browser.find_element("id", name).rect for name in ("shown", "mask"))
    assert shown == mask and mask["width"] > 100, "the mask lies over the picture"
    assert browser.execute_script("return document.getElementById('mask').naturalWidth") == 60
    assert "mIoU" in browser.find_element("id", "accuracy-name").text
    assert eventually(lambda: browser.find_element("id", "accuracy").text.startswith("24.00"))
    assert [one for one in browser.get_log("browser") if "blob:" not in one["message"]] == []
    assert server.end()[0] == 0


@pytest.mark.slow
def test_a_bundle_of_depths_is_served_by_processes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = build_dense_net()
    table = net.table
    net.set_head("linear", 1, task=Depth())
    assert table is not None
    net.table = table.with_column("rmse", {row.stitch: 2.0 - row.index / 10 for row in table})
    net.table.meta["score"] = "rmse"
    write_bundle(net, tmp_path / "depths", [0, 2])
    server = Server(str(tmp_path / "depths"), "--processes", "--slo-ms", "5000", "--max-batch", "2")
    status, found = asked(server.addresses["http"], "POST", "/segment?format=json", photo(tmp_path).read_bytes())
    expected = net.predict(tmp_path / "photo.png", found["stitch"])
    assert status == 200 and found["stitch"] == str(net.space[2]) and isinstance(expected, MapPrediction)
    assert found["score"] == pytest.approx(1.8) and found["mean"] == pytest.approx(
        float(expected.values.mean()), rel=1e-4
    )
    assert server.end()[0] == 0


def test_grpc_gives_the_tensor_as_it_is() -> None:
    client = pytest.importorskip("tritonclient.grpc")
    from tests.serving.front.test_grpc_api import served

    with served(DenseService()) as address:
        asking = client.InferenceServerClient(address)
        images = client.InferInput("images", list(IMAGES.shape), "FP32")
        images.set_data_from_numpy(IMAGES)
        assert asking.infer("tiny", [images]).as_numpy("logits").shape == (2, 4, 4, 5)
        assert list(asking.get_model_metadata("tiny").outputs[0].shape) == [-1, 4, 4, 5]
        asking.close()

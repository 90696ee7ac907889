"""The page of a service in a real browser, through a burst."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from snnet.network import SNNet
from tests.cli.test_serve import Server, asked, infer
from tests.serving.front.service import eventually

LEFT = "\ue012"


@pytest.fixture(scope="module")
def server(small_net: SNNet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("shown") / "net"
    small_net.save_pretrained(place)
    running = Server(str(place), "--slo-ms", "2000", "--max-batch", "4")
    yield running
    running.end()


def test_what_it_does_is_told_as_data(server: Server) -> None:
    status, told = asked(server.addresses["http"], "GET", "/live")
    assert status == 200 and told["model"] == "net" and told["ready"] and told["slo_ms"] == 2000
    scores = [one["score"] for one in told["stitches"]]
    assert scores == sorted(scores) and all(one["latency_ms"] > 0 for one in told["stitches"])
    infer(server.addresses["http"])
    seconds = asked(server.addresses["http"], "GET", "/live")[1]["seconds"]
    assert sum(one["counts"].get("in_time", 0) for one in seconds) >= 1


def test_the_page_shows_a_burst_and_answers_a_picture(server: Server, browser: Any, tmp_path: Path) -> None:
    address = server.addresses["http"]

    def shown(name: str) -> str:
        return str(browser.find_element("id", name).text)

    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    assert eventually(lambda: "ready" in shown("state")), shown("state")
    with ThreadPoolExecutor(4) as pool:
        statuses = [status for status, _ in pool.map(lambda _: infer(address), range(60))]
    assert set(statuses) == {200}
    assert eventually(lambda: shown("attainment").startswith("100") and float(shown("rate")) > 0)
    assert float(shown("accuracy").rstrip(" %")) > 50 and shown("in-use") != ""
    assert eventually(lambda: len(browser.find_elements("css selector", "#load rect")) > 0)
    # By keyboard: a shorter deadline.
    slider, before = browser.find_element("id", "slo"), shown("slo-value")
    slider.send_keys(LEFT * 3)
    assert shown("slo-value") != before
    slider.send_keys("\ue013" * 20)
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)).save(picture)
    browser.find_element("id", "file").send_keys(str(picture))
    assert eventually(lambda: len(browser.find_elements("css selector", "#labels li")) == 5), shown("said")
    assert shown("said").startswith("stitch ") and "class " in shown("labels")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    browser.find_element("id", "file").send_keys(str(broken))
    assert eventually(lambda: "bad" in browser.find_element("id", "said").get_attribute("class"))
    for width in (1300, 420):
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # What the page asks for comes from this server alone, and the only trouble is the broken picture's.
    sent = [
        line["message"] for line in browser.get_log("performance") if '"Network.requestWillBeSent"' in line["message"]
    ]
    assert sent and all(f'"url":"{address}' in one or '"url":"blob:' in one or '"url":"data:' in one for one in sent)
    told = [
        line
        for line in browser.get_log("browser")
        if "classify" not in line["message"] and "blob:" not in line["message"]
    ]
    assert told == []


@pytest.mark.slow
def test_the_page_asks_for_a_token(small_net: SNNet, browser: Any, tmp_path: Path) -> None:
    small_net.save_pretrained(tmp_path / "net")
    running = Server(str(tmp_path / "net"), "--max-batch", "1", "--token", "secret")
    browser.get(running.addresses["http"])
    assert eventually(lambda: "needs a token" in browser.find_element("id", "state").text)
    browser.find_element("id", "token").send_keys("secret\n")
    assert eventually(lambda: "ready" in browser.find_element("id", "state").text)
    assert running.end()[0] == 0

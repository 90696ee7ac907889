"""The page of models in a real browser: a dot for each, legend entries that toggle, names under the pointer."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from snnet.report import Bubble, BubbleGroup, write_bubble_page

webdriver = pytest.importorskip("selenium.webdriver")

GROUPS = (
    BubbleGroup("alone", (Bubble("big <b>", 9e9, 4e8, 84.0), Bubble("far", 4e8, 3.6e7, 66.0, "224 x 224 pixels"))),
    BubbleGroup("stitched", (Bubble("stitch 3: 0:0-4", 2e9, 9e6, 77.5),), main=True),
)


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(write_bubble_page(GROUPS, tmp_path / "models.html", title="Models").as_uri())
    return browser


def dot(page: Any, name: str) -> Any:
    return next(m for m in page.find_elements("css selector", ".bubble") if m.get_attribute("data-model") == name)


def test_no_error_no_request_and_a_dot_for_every_model(page: Any) -> None:
    assert page.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in sent if not url.startswith("data:")] == [page.current_url]
    names = {mark.get_attribute("data-model") for mark in page.find_elements("css selector", ".bubble")}
    assert names == {bubble.name for group in GROUPS for bubble in group.bubbles}


def test_dots_lie_where_their_numbers_say_and_are_as_large_as_their_parameters(page: Any) -> None:
    big, far, stitch = (dot(page, name) for name in ("big <b>", "far", "stitch 3: 0:0-4"))
    x, y, r = ({m: float(m.get_attribute(a)) for m in (big, far, stitch)} for a in ("cx", "cy", "r"))
    assert x[far] < x[stitch] < x[big] and y[far] > y[stitch] > y[big]
    share = (x[stitch] - x[far]) / (x[big] - x[far])
    assert share == pytest.approx(math.log(2e9 / 4e8) / math.log(9e9 / 4e8), abs=0.01)
    assert (r[big] / r[far]) ** 2 == pytest.approx(4e8 / 3.6e7, rel=0.02)


def test_hovering_names_the_model(page: Any) -> None:
    tip = page.find_element("css selector", "#tip")
    assert not tip.is_displayed()
    webdriver.ActionChains(page).move_to_element(dot(page, "far")).perform()
    assert tip.is_displayed()
    assert all(said in tip.text for said in ("far", "alone", "66.00%", "400 M", "36 M", "224 x 224 pixels"))
    webdriver.ActionChains(page).move_to_element(dot(page, "big <b>")).perform()
    assert "big <b>" in tip.text and "Images" not in tip.text
    webdriver.ActionChains(page).move_to_element(page.find_element("css selector", "h1")).perform()
    assert not tip.is_displayed()


def test_legend_entries_toggle_their_models(page: Any) -> None:
    entries = page.find_elements("css selector", "#legend button")
    assert [entry.text for entry in entries] == ["alone (2)", "stitched (1)"]
    for shown in (False, True):
        entries[0].click()
        assert entries[0].get_attribute("aria-pressed") == str(shown).lower()
        assert dot(page, "far").is_displayed() is shown
        assert dot(page, "stitch 3: 0:0-4").is_displayed()


def test_arrow_keys_go_through_what_is_shown(page: Any) -> None:
    tip = page.find_element("css selector", "#tip")
    page.execute_script("document.getElementById('chart').focus()")
    for name in ("far", "stitch 3: 0:0-4", "big <b>", "big <b>"):
        webdriver.ActionChains(page).send_keys("\ue014").perform()
        assert name in tip.text and "looked-at" in dot(page, name).get_attribute("class")
    webdriver.ActionChains(page).send_keys("\ue00c").perform()
    assert not tip.is_displayed()

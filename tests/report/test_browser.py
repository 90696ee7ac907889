"""The page in a real browser: what it shows, what it answers, and that it asks the network for nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from snnet.report import write_page
from snnet.table import StitchRow, StitchTable, doubts, select

webdriver = pytest.importorskip("selenium.webdriver")

UNSCORED = 70
TAB, SHIFT, ESCAPE, HOME, UP, RIGHT, DOWN = ("\ue004", "\ue008", "\ue00c", "\ue011", "\ue013", "\ue014", "\ue015")


@pytest.fixture
def table(reference_dir: Path) -> StitchTable:
    """The published table with made-up latencies, and one stitch that was not evaluated."""
    published = StitchTable.load(reference_dir / "deit_ti_s_b.json")
    slow = published.with_column("latency_ms", {row.stitch: 0.5 + row.macs / 1e9 + row.index % 7 for row in published})
    return slow.with_column("top1", {slow[UNSCORED].stitch: float("nan")})


@pytest.fixture
def page(browser: Any, table: StitchTable, tmp_path: Path) -> Any:
    before = table.with_column("top1", {row.stitch: row.top1 - 5 for row in table if row.index % 2})
    # The browser's own start page has made requests, too.
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(write_page(table, tmp_path / "index.html", before=before, source="runs/mine").as_uri())
    return browser


def css(page: Any, selector: str) -> list[Any]:
    return list(page.find_elements("css selector", selector))


def hover(page: Any, stitch: str) -> str:
    mark = css(page, f'#chart .mark[data-stitch="{stitch}"]')[0]
    webdriver.ActionChains(page).move_to_element(mark).perform()
    tip = css(page, "#tip")[0]
    assert tip.is_displayed()
    return str(tip.text)


def visible(page: Any, mark: Any) -> bool:
    # Selenium's own answer takes a vertical line, which has no width, for hidden.
    script = "const box = arguments[0].getBoundingClientRect(); return box.width + box.height"
    return float(page.execute_script(script, mark)) > 0


def set_budget(page: Any, value: float) -> float:
    script = (
        "const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('input')); return +s.dataset.limit"
    )
    return float(page.execute_script(script, css(page, "#budget")[0], value))


def chosen(page: Any) -> str:
    return str(css(page, "#choice")[0].get_attribute("data-stitch"))


def test_no_error_and_no_request(page: Any) -> None:
    assert page.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in sent if not url.startswith("data:")] == [page.current_url]
    assert page.current_url.startswith("file:")


def test_every_stitch_has_a_mark(page: Any, table: StitchTable) -> None:
    marks = {mark.get_attribute("data-stitch") for mark in css(page, "#chart .mark[data-stitch]")}
    assert marks == {row.stitch for row in table}
    assert len(css(page, "#chart .star")) == 3


def test_hovering_tells_all_about_a_stitch(page: Any) -> None:
    text = hover(page, "0:0-6,1:6-12")
    for said in ("76.48%", "stitch 19 · 0:0-6,1:6-12", "2.93 G", "14.0 M", "8.43 ms"):
        assert said in text
    assert "tiny\nblocks 0\u20135 (6 of 12)" in text
    assert "small\nblocks 6\u201311 (6 of 12)" in text
    assert "Looked at" in css(page, "#choice")[0].text
    assert page.get_log("browser") == []


def test_a_stitch_without_a_score_says_so(page: Any, table: StitchTable) -> None:
    assert "not evaluated" in hover(page, table[UNSCORED].stitch)
    assert "not evaluated (1)" in css(page, "#legend")[0].text


def test_legend_entries_toggle_their_marks(page: Any) -> None:
    entries = css(page, "#legend button")
    keys = [entry.get_attribute("data-toggles") for entry in entries]
    assert keys == ["anchors", "series-0", "series-1", "frontier", "alone", "before", "unscored"]
    for key, entry in zip(keys, entries, strict=True):
        marks = css(page, f'#chart [data-key="{key}"] > *')
        assert marks
        for shown in (False, True):
            entry.click()
            assert entry.get_attribute("aria-pressed") == str(shown).lower()
            assert {visible(page, mark) for mark in marks} == {shown}


def test_what_is_hidden_stays_hidden_over_another_cost(page: Any) -> None:
    css(page, '[data-toggles="series-0"]')[0].click()
    css(page, '[data-cost="params"]')[0].click()
    marks = css(page, '[data-key="series-0"] .mark')
    assert marks
    assert not any(visible(page, mark) for mark in marks)


@pytest.mark.parametrize("cost", ["macs", "params", "latency_ms"])
def test_the_slider_chooses_what_select_chooses(page: Any, table: StitchTable, cost: str) -> None:
    css(page, f'[data-cost="{cost}"]')[0].click()
    low, high = (float(css(page, "#budget")[0].get_attribute(end)) for end in ("min", "max"))
    seen = set()
    for step in range(41):
        limit = set_budget(page, low + (high - low) * step / 40)
        assert chosen(page) == select(table, **{cost: limit}).id
        seen.add(chosen(page))
    assert len(seen) > 10
    assert css(page, "#frontier tr.chosen")[0].get_attribute("data-stitch") == chosen(page)


def test_the_arrow_keys_move_the_budget(page: Any, table: StitchTable) -> None:
    slider = css(page, "#budget")[0]
    before = float(slider.get_attribute("data-limit"))
    slider.send_keys("\ue014" * 3)
    limit = float(slider.get_attribute("data-limit"))
    assert limit > before
    assert chosen(page) == select(table, macs=limit).id
    assert f"net.select(macs={limit:.0f})" in css(page, "#choice")[0].text


def test_the_route_shows_the_blocks_that_run(page: Any, table: StitchTable) -> None:
    set_budget(page, 3e9)
    route = table[chosen(page)].route
    runs = {block.get_attribute("data-block") for block in css(page, "#route .run")}
    assert runs == {f"{s.anchor}:{block}" for s in route.segments for block in range(s.start, s.stop)}
    assert len(css(page, "#route .cell")) == 36
    assert len(css(page, "#route .hop")) == len(route.segments) - 1 == 1


def test_a_skip_is_an_arc_and_what_runs_twice_says_so(browser: Any, tmp_path: Path) -> None:
    routes = ["0:0-12", "1:0-12", "0:0-5,0:8-12", "1:0-2,0:2-6,1:1-3,0:3-12"]
    rows = [StitchRow(n, route, {"macs": 1e9 * (n + 1), "top1": 60.0 + n}) for n, route in enumerate(routes)]
    browser.get(write_page(StitchTable(rows), tmp_path / "index.html").as_uri())
    marks = [mark.get_attribute("data-stitch") for mark in css(browser, "#chart .mark")]
    assert sorted(marks) == sorted(routes)
    hover(browser, routes[2])
    assert [block.get_attribute("data-block") for block in css(browser, "#route .skipped")] == ["0:5", "0:6", "0:7"]
    assert len(css(browser, "#route .hop")) == len(css(browser, "#route .skip")) == 1
    arc, row = at(css(browser, "#route .skip")[0]), at(css(browser, "#route .cell")[0])
    assert arc[1] < row[1] - 8 and arc[3] <= row[1] + 1  # over the blocks and not across them
    assert at(css(browser, "#route")[0])[1] <= arc[1]
    hover(browser, routes[3])
    twice = {block.get_attribute("data-block") for block in css(browser, '#route [data-runs="2"]')}
    assert twice == {"1:1", "0:3", "0:4", "0:5"} and not css(browser, "#route .skipped, #route .skip")
    assert [number.text for number in css(browser, "#route .hop-number")] == ["1", "2", "3"]
    assert [text.text for text in css(browser, "#route .cell-text") if "×" in text.text] == ["2×"] * 4  # noqa: RUF001
    assert "anchor 0 with skips" in css(browser, "#legend")[0].text
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def press(page: Any, *keys: str) -> None:
    """Press keys on whatever has the focus."""
    webdriver.ActionChains(page).send_keys(*keys).perform()


def focused(page: Any) -> Any:
    return page.switch_to.active_element


def at(element: Any) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in the window."""
    box = element.parent.execute_script("return arguments[0].getBoundingClientRect()", element)
    return box["left"], box["top"], box["right"], box["bottom"]


def test_every_row_is_reached_and_left_by_the_keyboard_alone(page: Any, table: StitchTable) -> None:
    rows = [row.get_attribute("data-stitch") for row in css(page, "#frontier tr")]
    page.execute_script("arguments[0].focus()", css(page, "#budget")[0])
    press(page, TAB)
    assert focused(page).get_attribute("data-stitch") == chosen(page)
    press(page, HOME)
    reached = []
    for _ in rows:
        reached.append(focused(page).get_attribute("data-stitch"))
        assert chosen(page) == reached[-1]
        assert len(css(page, "#frontier tr[tabindex='0']")) == 1
        press(page, DOWN)
    assert reached == rows and focused(page).get_attribute("data-stitch") == rows[-1]
    press(page, UP)
    assert chosen(page) == rows[-2] == select(table, macs=table[rows[-2]].macs).id
    press(page, TAB)
    assert focused(page).tag_name == "body"
    webdriver.ActionChains(page).key_down(SHIFT).send_keys(TAB, TAB).key_up(SHIFT).perform()
    assert focused(page).get_attribute("id") == "budget"


def test_arrow_keys_go_through_all_marks_of_the_chart(page: Any, table: StitchTable) -> None:
    page.execute_script("arguments[0].focus()", css(page, "#chart")[0])
    seen = []
    for _ in table:
        press(page, RIGHT)
        seen.append(chosen(page))
    assert sorted(seen) == sorted(row.stitch for row in table)
    assert [table[stitch].macs for stitch in seen] == sorted(row.macs for row in table)
    assert css(page, "#tip")[0].is_displayed()
    press(page, ESCAPE)
    assert not css(page, "#tip")[0].is_displayed()


def test_a_click_shows_the_stitch_that_was_clicked(page: Any, table: StitchTable) -> None:
    worse = next(row for row in table.stitched if select(table, macs=row.macs).id != row.stitch and row.index > 20)
    mark = css(page, f'#chart .mark[data-stitch="{worse.stitch}"]')[0]
    webdriver.ActionChains(page).move_to_element(mark).click().perform()
    webdriver.ActionChains(page).move_to_element(css(page, "h1")[0]).perform()
    panel = css(page, "#choice")[0].text
    assert chosen(page) == worse.stitch and "Picked" in panel
    assert f"the best is {table[select(table, macs=worse.macs)].index} ·" in panel
    assert f'net(images, "{worse.stitch}")' in panel and f'snnet export runs/mine --stitch "{worse.stitch}"' in panel
    set_budget(page, worse.macs)
    assert chosen(page) == select(table, macs=float(css(page, "#budget")[0].get_attribute("data-limit"))).id


def test_the_slider_says_its_value_and_the_panel_two_commands(page: Any) -> None:
    limit = set_budget(page, 3e9)
    assert css(page, "#budget")[0].get_attribute("aria-valuetext") == css(page, "#limit")[0].text == "MACs ≤ 3 G"
    assert f"snnet select runs/mine --macs {limit:.0f}" in css(page, "#choice")[0].text
    css(page, '[data-cost="latency_ms"]')[0].click()
    assert "snnet select runs/mine --latency-ms " in css(page, "#choice")[0].text


def test_a_hidden_series_leaves_no_ring(page: Any, table: StitchTable) -> None:
    set_budget(page, table.anchors[0].macs)
    assert css(page, "#chart .ring")
    css(page, '[data-toggles="anchors"]')[0].click()
    assert not css(page, "#chart .ring")
    css(page, '[data-toggles="anchors"]')[0].click()
    assert css(page, "#chart .ring")


@pytest.mark.parametrize("width", [1300, 420])
def test_the_page_at_two_widths(page: Any, table: StitchTable, width: int) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    try:
        # The chart is drawn anew for the width, once the page is laid out.
        page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        letters = [at(text) for text in css(page, "#chart text:not(.label)")]
        assert min(bottom - top for _, top, _, bottom in letters) >= 10
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        scores = css(page, "#frontier .score-cell")
        assert all(left >= 0 and right <= width for left, _, right, _ in map(at, scores))
        chart, tip = css(page, "#chart")[0], css(page, "#tip")[0]
        for row in (table[0], table[40], table[2]):
            hover(page, row.stitch)
            left, top, right, bottom = at(tip)
            assert left >= 0 and top >= 0 and right <= width and bottom <= at(chart)[3] + 1
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_opens_on_the_cost_that_was_asked_for(browser: Any, table: StitchTable, tmp_path: Path) -> None:
    some = table.with_column("latency_ms", {row.stitch: float("nan") for row in table if row.index % 3})
    browser.get(write_page(some, tmp_path / "index.html", cost="latency_ms").as_uri())
    assert css(browser, '[data-cost="latency_ms"]')[0].get_attribute("aria-pressed") == "true"
    assert "over Latency" in css(browser, "#curve-title")[0].text
    assert "not evaluated (1)" in css(browser, "#legend")[0].text


def test_a_row_of_the_frontier_sets_the_budget(page: Any) -> None:
    row = css(page, "#frontier tr.chosen + tr")[0]
    assert chosen(page) != row.get_attribute("data-stitch")
    row.click()
    assert chosen(page) == row.get_attribute("data-stitch")


def test_a_table_without_scores_says_what_to_run(browser: Any, table: StitchTable, tmp_path: Path) -> None:
    bare = StitchTable([type(row)(row.index, row.stitch, {"macs": row.macs}) for row in table])
    browser.get_log("browser")
    browser.get(write_page(bare, tmp_path / "bare.html").as_uri())
    assert "`snnet evaluate` scores them" in css(browser, "#chart")[0].text
    assert not css(browser, "#budget")[0].is_displayed()
    assert "not evaluated" in hover(browser, "0:0-6,1:6-12")
    webdriver.ActionChains(browser).move_to_element(css(browser, "h1")[0]).perform()
    assert not css(browser, "#tip")[0].is_displayed()
    assert browser.get_log("browser") == []


def test_predicted_scores_bear_error_bars(browser: Any, table: StitchTable, tmp_path: Path) -> None:
    guessed = table[5].stitch
    browser.get(write_page(table.with_column("top1_error", {guessed: 30.0}), tmp_path / "index.html").as_uri())
    bars = css(browser, '#chart [data-key="errors"] .error')
    assert len(bars) == 1 and visible(browser, bars[0])
    assert "± 30.00, predicted" in hover(browser, guessed)
    assert "predicted" not in hover(browser, table[6].stitch)
    assert any("error of a prediction" in entry.text for entry in css(browser, "#legend *"))
    # A long bar stays within the plot.
    layer = css(browser, '#chart [data-key="errors"]')[0]
    assert layer.get_attribute("clip-path") == "url(#area)"


def test_unreliable_times_bear_a_mark_that_says_why(browser: Any, table: StitchTable, tmp_path: Path) -> None:
    best, other = table[68].stitch, table[6].stitch
    measured = table.with_column("latency_ms_low", {row.stitch: row.values["latency_ms"] * 0.999 for row in table})
    measured = measured.with_column("latency_ms_high", {row.stitch: row.values["latency_ms"] * 1.001 for row in table})
    found = doubts(measured.with_column("latency_ms_high", {best: 99.0}), "latency_ms")
    page = write_page(measured.with_column("latency_ms_high", {best: 99.0}), tmp_path / "index.html", cost="latency_ms")
    browser.get(page.as_uri())
    rings = css(browser, '#chart [data-key="doubts"] .doubt')
    assert best in found and other not in found and len(rings) == len(found)
    assert " ms ?" in hover(browser, best)
    assert f"unreliable time: {found[best]}" in [one.get_attribute("title") for one in css(browser, "#choice-facts dd")]
    assert " ?" not in hover(browser, other)
    (entry,) = css(browser, '[data-toggles="doubts"]')
    assert entry.text == "unreliable time (?)"
    assert "? marks an unreliable time: the machine had other work" in css(browser, "footer")[0].text
    entry.click()
    assert not any(visible(browser, ring) for ring in rings)
    css(browser, '[data-cost="macs"]')[0].click()
    assert not css(browser, '#chart [data-key="doubts"] .doubt') and browser.get_log("browser") == []

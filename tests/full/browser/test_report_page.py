"""The page of `sedkit report` in a browser: it is heard, seen, sorted, and worked by keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_case import BY_F1, BY_FALSE, BY_MISSED, SECONDS

from tests.full.browser.conftest import NASTY_CLIPS, NASTY_LABELS, NASTY_SYSTEM

Browser = Any
pytestmark = pytest.mark.full


def opened(chromium: Browser, page: Path) -> Browser:
    chromium.get_log("browser")
    chromium.get(page.as_uri())
    # The keys are the browser of clips' where it is seen.
    chromium.execute_script("document.getElementById('browser').scrollIntoView()")
    time.sleep(0.1)
    return chromium


def find(browser: Browser, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def wait(true: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return value


def clips(browser: Browser) -> list[str]:
    return browser.execute_script("return [...document.querySelectorAll('#list .clip')].map((e) => e.textContent)")


def letters(browser: Browser) -> str:
    return "".join(name[0] for name in clips(browser))


def choose(browser: Browser, select: str, value: str) -> None:
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];e.dispatchEvent(new Event('change'));",
        select,
        value,
    )


def now_s(browser: Browser) -> float:
    return browser.execute_script("return document.getElementById('audio').currentTime")


def cursor(browser: Browser) -> float:
    return float(find(browser, "#lanes .cursor").get_attribute("x1"))


def press(browser: Browser, keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(keys).perform()


def errors(browser: Browser) -> list[dict[str, Any]]:
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def test_it_opens_without_an_error_and_fetches_nothing(chromium: Browser, page: Path) -> None:
    browser = opened(chromium, page)
    assert len(clips(browser)) == 5
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in fetched if not name.startswith(("data:", "blob:"))] == []
    images = browser.execute_script("return [...document.images].map((e) => [e.complete, e.naturalWidth, e.alt])")
    assert len(images) == 8
    browser.execute_script("for (const e of document.images) e.loading = 'eager'")
    wait(lambda: browser.execute_script("return [...document.images].every((e) => e.complete && e.naturalWidth > 100)"))
    assert all(alt for _, _, alt in images)
    assert errors(browser) == []


def test_clips_are_sorted_and_filtered(chromium: Browser, page: Path) -> None:
    browser = opened(chromium, page)
    assert letters(browser) == BY_F1
    choose(browser, "sort", "false")
    assert letters(browser) == BY_FALSE
    choose(browser, "sort", "missed")
    assert letters(browser) == BY_MISSED
    choose(browser, "sort", "name")
    assert letters(browser) == "abcde"
    choose(browser, "sort", "f1")
    # Dog: found in a, in b missed and falsely found.
    choose(browser, "class", "2")
    assert letters(browser) == "ba"
    assert find(browser, "#list .tally").text == "F1 0.00 · 1 missed · 1 false"
    assert find(browser, "#count").text == "2 of 5 clips"
    choose(browser, "class", "-1")
    find(browser, "#search").send_keys("C.W")
    assert letters(browser) == "c"
    find(browser, "#search").send_keys("zzz")
    assert clips(browser) == [] and find(browser, "#clip-name").text == "no clip fits"
    assert errors(browser) == []


def test_events_are_told_apart_by_pattern(chromium: Browser, page: Path) -> None:
    browser = opened(chromium, page)
    choose(browser, "sort", "name")
    press(browser, "j")
    assert find(browser, "#clip-name").text == "b.wav"
    looks = browser.execute_script(
        "return [...document.querySelectorAll('#lanes rect[class]')].map((e) => "
        "[e.getAttribute('class'), e.querySelector('title').textContent])"
    )
    assert sorted(looks) == [
        ["correct", "Cat, 0.50–1.50 s, one/seed0: correct"],
        ["false", "Dog, 0.00–1.00 s, one/seed0: false"],
        ["missed", "Dog, 2.00–3.00 s, one/seed0: missed"],
        ["truth", "Cat, 0.50–1.50 s, true event"],
        ["truth", "Dog, 2.00–3.00 s, true event"],
    ]
    fills = {kind: find(browser, f"#lanes .{kind}").get_attribute("fill") for kind in ("false", "missed", "truth")}
    assert fills == {"false": "url(#hatch0)", "missed": "none", "truth": "#3c4043"}
    # The plot is as wide as the clip is long: an event from 2 s to 3 s of 4 s fills its third quarter.
    x1, x2 = (float(find(browser, "#lanes line[x2]").get_attribute(side)) for side in ("x1", "x2"))
    assert x2 > x1
    rect = find(browser, "#lanes .missed")
    width = float(rect.get_attribute("width"))
    left = cursor(browser)
    assert (float(rect.get_attribute("x")) - left) / width == pytest.approx(2.0, abs=0.01)


def test_sound_plays_and_the_cursor_moves_along(chromium: Browser, page: Path) -> None:
    browser = opened(chromium, page)
    assert find(browser, "#clip-name").text == "d.wav"
    before = cursor(browser)
    find(browser, "#play").click()
    wait(lambda: now_s(browser) > 0.3)
    assert find(browser, "#play").text == "Pause"
    moved = cursor(browser)
    assert moved > before + 10
    wait(lambda: cursor(browser) > moved)
    find(browser, "#play").click()
    wait(lambda: browser.execute_script("return document.getElementById('audio').paused"))
    assert find(browser, "#play").text == "Play"
    assert browser.execute_script("return document.getElementById('audio').duration") == pytest.approx(SECONDS, abs=0.1)
    assert errors(browser) == []


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_click_goes_there(chromium: Browser, page: Path, share: float) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser = opened(chromium, page)
    wait(lambda: browser.execute_script("return document.getElementById('audio').readyState >= 1"))
    lanes = find(browser, "#lanes")
    box = browser.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.width, b.height]", lanes)
    width = browser.execute_script("return arguments[0].viewBox.baseVal.width", lanes)
    left, right = cursor(browser), width - 8
    x = (left + share * (right - left)) * box[0] / width
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", lanes)
    ActionChains(browser).move_to_element_with_offset(lanes, round(x - box[0] / 2), 0).click().perform()
    assert now_s(browser) == pytest.approx(share * SECONDS, abs=0.05)
    assert cursor(browser) == pytest.approx(left + share * (right - left), abs=3)


def test_the_keyboard_does_all(chromium: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = opened(chromium, page)
    press(browser, "j")
    assert find(browser, "#clip-name").text == "c.wav"
    assert find(browser, '#list [aria-selected="true"] .clip').text == "c.wav"
    press(browser, "jjjjj")
    assert find(browser, "#clip-name").text == "e.wav"
    press(browser, "k")
    assert find(browser, "#clip-name").text == "a.wav"
    press(browser, " ")
    wait(lambda: now_s(browser) > 0.1)
    press(browser, " ")
    wait(lambda: browser.execute_script("return document.getElementById('audio').paused"))
    # The list, with arrows.
    browser.execute_script("document.getElementById('list').focus()")
    press(browser, Keys.HOME)
    assert find(browser, "#clip-name").text == "d.wav"
    press(browser, Keys.ARROW_DOWN)
    assert find(browser, "#clip-name").text == "c.wav"
    at = now_s(browser)
    press(browser, Keys.ARROW_RIGHT)
    assert now_s(browser) == pytest.approx(at + 0.5, abs=0.05)
    # Letters in a field are letters.
    find(browser, "#search").send_keys("j")
    assert find(browser, "#search").get_attribute("value") == "j"
    assert errors(browser) == []


def test_every_control_is_reached_by_tab_and_shows_it(chromium: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = opened(chromium, page)
    browser.execute_script("document.getElementById('browser-title').focus()")
    reached = []
    for _ in range(14):
        press(browser, Keys.TAB)
        name, outline = browser.execute_script(
            "const e = document.activeElement; return [e.id, getComputedStyle(e).outlineStyle]"
        )
        if name and name not in reached:
            reached.append(name)
            assert outline != "none", name
    expected = ["sort", "class", "search", "heard", "list", "previous", "next", "play", "audio"]
    assert [name for name in reached if name in expected] == expected
    unlabelled = browser.execute_script(
        "return [...document.querySelectorAll('#browser select, #browser input')]"
        ".filter((e) => !e.labels.length).length"
    )
    assert unlabelled == 0


def test_two_systems_side_by_side(chromium: Browser, pair: Path) -> None:
    browser = opened(chromium, pair)
    choose(browser, "sort", "differ")
    # F1 of clip a is 1 and 0, of b and c and d the same.
    assert letters(browser)[0] == "a"
    assert [line.text for line in browser.find_elements("css selector", "#list li:first-child .tally")] == [
        "A: F1 1.00 · 0 missed · 0 false",
        "B: F1 0.00 · 1 missed · 0 false",
    ]
    titles = browser.execute_script(
        "return [...document.querySelectorAll('#lanes rect[class] title')].map((e) => e.textContent)"
    )
    assert titles == [
        "Dog, 1.00–2.00 s, true event",
        "Dog, 1.05–2.00 s, one/seed0: correct",
        "Dog, 1.00–2.00 s, two/seed0: missed",
    ]
    choose(browser, "system", "1")
    choose(browser, "sort", "f1")
    assert letters(browser) == "dacbe"
    assert errors(browser) == []


def test_names_are_text(chromium: Browser, nasty: Path) -> None:
    browser = opened(chromium, nasty)
    choose(browser, "sort", "name")
    assert clips(browser) == list(NASTY_CLIPS)
    labels = browser.execute_script("return [...document.getElementById('class').options].map((o) => o.textContent)")
    assert labels[1:] == list(NASTY_LABELS)
    for _ in NASTY_CLIPS:
        press(browser, "j")
    assert find(browser, "h1").text == NASTY_SYSTEM + "/seed0"
    browser.execute_script("for (const e of document.images) e.loading = 'eager'")
    wait(lambda: browser.execute_script("return [...document.images].every((e) => e.complete && e.naturalWidth > 100)"))
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.execute_script("return document.querySelectorAll('b, i, img:not([alt])').length") == 0
    assert errors(browser) == []


def test_400_clips_are_quick_and_opened_one_by_one(chromium: Browser, many: Path) -> None:
    begun = time.monotonic()
    browser = opened(chromium, many)
    assert len(clips(browser)) == 400
    assert time.monotonic() - begun < 5
    took_ms = browser.execute_script(
        "const t = performance.now(); const s = document.getElementById('sort'); s.value = 'missed';"
        "s.dispatchEvent(new Event('change')); document.body.offsetHeight; return performance.now() - t"
    )
    assert took_ms < 1000
    # Only the open clip has an image and a sound.
    assert browser.execute_script("return document.querySelectorAll('#lanes image').length") == 1
    assert browser.execute_script("return document.querySelectorAll('audio').length") == 1
    assert many.stat().st_size < 35e6


@pytest.mark.parametrize("width", [420, 1280])
def test_nothing_is_wider_than_the_window(chromium: Browser, pair: Path, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser = opened(chromium, pair)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paper_has_no_controls(chromium: Browser, page: Path) -> None:
    browser = opened(chromium, page)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = browser.execute_script(
            "return ['nav', '.controls', '#list', '.player', '#view', '#lanes', 'figure'].map("
            "(s) => getComputedStyle(document.querySelector(s)).display !== 'none')"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown == [False, False, False, False, True, True, True]

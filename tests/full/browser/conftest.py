"""Chromium without a window, and pages to open in it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "report"))

from page_case import DECODED, LABELS, TRUE, make_data, make_run

from sedkit.cli.main import main

#: Everything that ends an attribute, a string, a script or a tag somewhere, and letters of other scripts.
NASTY_CLIPS = (
    "<script>window.hacked=1<script>.wav",
    "<img src=x onerror='window.hacked=1'>.wav",
    'it\'s "quoted" & more.wav',
    "über  zwei Räume 😀 猫.wav",
    "</script><script>window.hacked=1</script>.wav",
)
NASTY_LABELS = ("<b>Al$arm$</b>", "Cat \"x\" 'y' & <!--", "Ünï 犬 ${7*7} {{7*7}}")
NASTY_SYSTEM = "<i>one & 'two'"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A driver of Chromium with a log of its console."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="needs selenium, which drives the browser: pip install -e '.[browser]'"
    )
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing = "chromium" if binary is None else "chromium-driver"
        pytest.skip(f"needs {missing}: apt-get install --no-install-recommends chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run."""
    folder = tmp_path_factory.mktemp("page")
    data = make_data(folder / "data" / "validation")
    run = make_run(folder / "exp" / "one" / "seed0", data)
    assert main(["report", str(run), "--data", str(data)]) == 0
    return run / "report" / "index.html"


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs; the second finds nothing in clip a, which the first finds all of."""
    folder = tmp_path_factory.mktemp("pair")
    data = make_data(folder / "data" / "validation")
    runs = [make_run(folder / "exp" / "one" / "seed0", data)]
    runs.append(make_run(folder / "exp" / "two" / "seed0", data, decoded=DECODED[1:]))
    assert main(["report", *map(str, runs), "--data", str(data), "--out", str(folder / "out")]) == 0
    return folder / "out" / "index.html"


@pytest.fixture(scope="session")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of clips and classes with names that would be more than names."""
    folder = tmp_path_factory.mktemp("nasty")
    data = make_data(folder / "data" / "validation", NASTY_CLIPS, NASTY_LABELS)
    run = make_run(folder / "exp" / NASTY_SYSTEM / "seed0", data, NASTY_CLIPS, NASTY_LABELS)
    assert main(["report", str(run), "--data", str(data)]) == 0
    return run / "report" / "index.html"


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 400 clips, all with sound."""
    folder = tmp_path_factory.mktemp("many")
    clips = [f"clip{k:03d}.wav" for k in range(400)]
    true = [(k, *TRUE[k % 4][1:]) for k in range(400)]
    decoded = [(k, *DECODED[k % 5][1:]) for k in range(400)]
    data = make_data(folder / "data" / "validation", clips, LABELS, true)
    run = make_run(folder / "exp" / "one" / "seed0", data, clips, LABELS, decoded, scored=False)
    assert main(["report", str(run), "--data", str(data), "--clips", "400"]) == 0
    return run / "report" / "index.html"

"""Links, commands and printed output of the pages: what they name exists, and what is marked is what is printed."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sedkit.cli._options import Parser
from sedkit.cli.main import VERBS, usage

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*/README.md"), *ROOT.glob("submissions/*.md")]
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", h) for h in re.findall(r"^#+ (.+)$", text, re.M))
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "`", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_links_that_are_broken_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One: two\n[x](#one-two) [y](#three) [z](b.md)\n```\n# no heading\n```\n")
    assert anchors(page) == {"one-two"}


def test_every_page_and_extension_is_in_an_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w+\.md)\)", index))
    assert linked == {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}
    extending = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    for named in re.findall(r"`((?:tests|sedkit|recipes)/[\w/.]+)`", extending):
        assert (ROOT / named).exists(), named


def commands(page: Path) -> list[str]:
    """Return the calls of `sedkit` and `./runme.sh` in a page's code, with the lines that go on from them."""
    out: list[str] = []
    fenced, depth = False, 0
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced, depth = not fenced, 0
            continue
        if not (fenced or line.startswith("    ")):
            depth = 0
            continue
        code = line.strip().removeprefix("$ ")
        begins = re.match(r"(?:python -m )?sedkit +([a-z]+)(?=\s|$)|\./runme\.sh(?=\s|$)", code)
        if begins and begins[1] in (None, *VERBS):
            out.append(code.removesuffix("\\"))
            depth = len(line) - len(line.lstrip())
        elif depth and len(line) - len(line.lstrip()) > depth and out:
            out[-1] += " " + code.removesuffix("\\")
        else:
            depth = 0
    return out


def options_of(verb: str) -> set[str]:
    parser = Parser(prog=verb)
    importlib.import_module(f"sedkit.cli.{verb}").add_arguments(parser)
    actions = list(parser._actions)
    for action in parser._actions:
        if isinstance(action.choices, dict):
            actions += [a for sub in action.choices.values() for a in sub._actions]
    return {option for action in actions for option in action.option_strings}


def shell_options() -> set[str]:
    said = ""
    for recipe in sorted(p.parent.name for p in ROOT.glob("recipes/*/run.sh")):
        said += subprocess.run([ROOT / "runme.sh", recipe, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  (--[a-z-]+)", said, re.M))


def blocks(page: Path) -> list[list[tuple[str, str]]]:
    """Return the commands of each marked block with what it says that they print."""
    out = []
    for block in page.read_text(encoding="utf-8").split("<!-- checked -->\n```console\n")[1:]:
        pairs: list[tuple[str, str]] = []
        for line in block.split("```")[0].splitlines():
            if line.startswith("$ "):
                pairs.append((line[2:], ""))
            else:
                pairs[-1] = (pairs[-1][0], pairs[-1][1] + line + "\n")
        out.append(pairs)
    return out


CHECKED = [pair for page in PAGES for block in blocks(page) for pair in block]


def test_verbs_and_options_that_pages_name_exist() -> None:
    known = {verb: options_of(verb) for verb in VERBS} | {"./runme.sh": shell_options()}
    unknown, n = [], 0
    for page in PAGES:
        for command in commands(page):
            if command in dict(CHECKED):
                continue  # run as it is, slips and all
            words = command.split("#")[0].replace("python -m ", "").split()
            verb = words[0] if words[0].startswith("./") else words[1]
            n += 1
            given = command.split("#")[0].split(" -- ")[0]
            for option in re.findall(r"(?<![\w/])--[a-z][a-z-]*", given):
                if option not in known[verb]:
                    unknown.append(f"{name_of(page)}: {verb} {option}")
    assert unknown == []
    assert n > 60  # the pages are full of them


@pytest.mark.parametrize(("command", "expected"), CHECKED, ids=[command for command, _ in CHECKED])
def test_what_is_marked_is_what_is_printed(command: str, expected: str) -> None:
    words = shlex.split(command)
    if words[0] == "sedkit":
        words = [sys.executable, "-m", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout + done.stderr == expected


def test_the_tour_goes_through_every_stage_and_names_true_configurations() -> None:
    page = ROOT / "docs/tour.md"
    calls = commands(page)
    verbs = [words[1] for words in map(str.split, calls) if words[0] == "sedkit"]
    way = (
        "miniature",
        "prepare",
        "extract",
        "train",
        "predict",
        "tune",
        "decode",
        "score",
        "benchmark",
        "pack",
        "check",
    )
    assert [verb for verb in dict.fromkeys(verbs) if verb in way] == list(way)
    for call in calls:
        for word in call.split():
            if word.startswith(("recipes/", "submissions/authors")):
                assert (ROOT / word).exists(), word
    assert CHECKED


def test_the_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`([a-z]+)`", text[text.index("lists the verbs") : text.index("Two that need")]))
    assert listed == set(VERBS)
    assert all(f"\n  {verb} " in usage() for verb in VERBS)

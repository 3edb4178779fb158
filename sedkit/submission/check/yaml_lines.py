"""The meta file as YAML of unknown origin: read within limits, every key with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sedkit.core.yaml_text import judge_yaml, yaml_loader
from sedkit.submission.check.bytes import decoded
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, Findings

#: Blocks that are also named after the track: `sed_system`.
_TRACKED = ("system", "results")
#: Characters of the keys that lead to a value.
_LONGEST_PATH = 1000


@dataclass(frozen=True)
class Meta:
    """A meta file.

    Attributes
    ----------
    file
        Its path in the package.
    values
        What stands in it; where only `sed_system` describes a system, it and `sed_results` are called `system` and
        `results`.
    tracked
        Whether they were.
    lines
        Line of each key (1 is the first) by its path: keys, and positions in lists from 0, joined by dots.
    """

    file: str
    values: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    tracked: bool = False

    def name(self, block: str) -> str:
        """Return what the file calls a block."""
        return f"sed_{block}" if self.tracked and block in _TRACKED else block

    def called(self, path: str) -> str:
        """Return what the file calls a path."""
        block, point, rest = path.partition(".")
        return f"{self.name(block)}{point}{rest}"

    def row(self, path: str) -> int | None:
        """Return the line of a key, or where it is missing that of the block it belongs to."""
        path = path[:_LONGEST_PATH]
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None


def get(meta: Any, path: str) -> tuple[bool, Any]:
    """Return whether a dotted path stands in nested mappings, and its value."""
    for key in path.split("."):
        if not isinstance(meta, Mapping) or key not in meta:
            return False, None
        meta = meta[key]
    return True, meta


def parse_meta(file: str, data: bytes, findings: Findings) -> Meta | None:
    """Read a meta file as the organisers do (trailing white space dropped), noting what they would trip over."""
    import yaml

    text = decoded(file, data.removeprefix(b"\xef\xbb\xbf"), findings)
    if text is None:
        return None
    lines = [line.rstrip() for line in re.split(r"\r\n|\r|\n", text)]
    where = _Lines()
    try:
        content = _load("\n".join(lines), where)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error) or "cannot be read"
        message = f"is no valid YAML ({problem})"
        findings.add(
            REFUSED, "meta_unreadable", file, message, "the template's YAML", row=mark.line + 1 if mark else None
        )
        return None
    if not isinstance(content, dict):
        findings.add(REFUSED, "meta_unreadable", file, f"holds {type(content).__name__}", "submission, system, results")
        return None
    for row, (path, before, same) in where.repeated.items():
        # PyYAML takes the last one without a word.
        severity = WARNING if same else SCORED_WRONGLY
        message = f"{path} stands twice, first in row {before}; the last one is read"
        findings.add(severity, "meta_key_twice", file, message, "each key once", row=row)
    if "#" in text:
        _check_hash_signs(file, lines, content, findings)
    return _plain(Meta(file, content, where.rows)) if tracked_blocks(content) else Meta(file, content, where.rows)


def second_system(meta: Meta) -> Meta | None:
    """Return `sed_system` and `sed_results` as a meta file of their own, where they stand beside the plain blocks.

    The script of 2020 looks at both pairs.
    """
    if meta.tracked or meta.values.get("sed_system") is None:
        return None
    return _plain(replace(meta, values={key: x for key, x in meta.values.items() if key not in _TRACKED}))


def _plain(meta: Meta) -> Meta:
    """Call the blocks of a system that are named after the track by their plain names, as its results alone."""
    values = {key: value for key, value in meta.values.items() if key not in _TRACKED}
    lines = {path: row for path, row in meta.lines.items() if path.split(".", 1)[0] not in _TRACKED}
    for plain in _TRACKED:
        if f"sed_{plain}" in values:
            values[plain] = values.pop(f"sed_{plain}")
    for path, row in meta.lines.items():
        block, point, rest = path.partition(".")
        if block.removeprefix("sed_") in _TRACKED and block.startswith("sed_"):
            lines[f"{block.removeprefix('sed_')}{point}{rest}"] = row
    return Meta(meta.file, values, lines, tracked=True)


def tracked_blocks(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the blocks that a meta file names after the track, as 2020 and 2021 also have it, and their plain names.

    >>> tracked_blocks({"submission": {}, "sed_system": {}})
    {'sed_system': 'system'}
    """
    if values.get("system") is not None or values.get("sed_system") is None:
        return {}
    return {f"sed_{plain}": plain for plain in _TRACKED if f"sed_{plain}" in values}


def _check_hash_signs(file: str, lines: list[str], content: dict[str, Any], findings: Findings) -> None:
    import yaml

    try:
        # The validators of 2020 and 2024 cut every line at "#", inside quotes too.
        cut = _load("\n".join(line.split("#")[0].rstrip() for line in lines))
    except (yaml.YAMLError, ValueError):
        cut = None
    if cut != content:
        # What is left may still be read, as something else.
        severity = WARNING if isinstance(cut, dict) else REFUSED
        row = next(
            (i for i, line in enumerate(lines, start=1) if "#" in line and not line.lstrip().startswith("#")), None
        )
        message = "a value holds #, where the validators cut the line"
        findings.add(severity, "meta_hash_sign", file, message, "no #", row=row)


@dataclass
class _Lines:
    """Rows by path; and by row each repeated key: its path, the row it stood in before, whether with the same value."""

    rows: dict[str, int] = field(default_factory=dict)
    repeated: dict[int, tuple[str, int, bool]] = field(default_factory=dict)

    def walk(self, node: Any, above: str = "") -> None:
        """Take the rows of the keys below a node; an alias is walked where it is used."""
        import yaml

        if isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self._take(f"{above}{i}", item, item)
        if not isinstance(node, yaml.MappingNode):
            return
        first: dict[tuple[str, str], tuple[Any, Any]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            known = (key.tag, key.value)
            if known in first:
                before, old = first[known]
                same = isinstance(old, yaml.ScalarNode) and (old.tag, old.value) == (value.tag, value.value)
                path = f"{above}{key.value}"
                self.repeated.setdefault(key.start_mark.line + 1, (path, before.start_mark.line + 1, same))
            first[known] = (key, value)
            self._take(f"{above}{key.value}", key, value)

    def _take(self, path: str, marked: Any, node: Any) -> None:
        # Below a key that is a text of its own, every path would repeat it.
        if len(path) <= _LONGEST_PATH:
            self.rows[path] = marked.start_mark.line + 1
            self.walk(node, f"{path}.")


def _load(text: str, lines: _Lines | None = None) -> Any:
    """Load YAML of unknown origin; ValueError where it is nested too deeply, or too large once aliases are expanded."""
    kind = yaml_loader()
    judge_yaml(text)
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if lines is not None:
            # Before the values are made: that puts merged keys (<<) among a node's own.
            lines.walk(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()

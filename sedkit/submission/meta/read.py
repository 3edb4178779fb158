"""The meta file as YAML of unknown origin: read within limits, every key with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sedkit.core.yaml_text import judge_yaml, yaml_loader
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.outputs.raw import decoded

#: More than any description of a system; what is beyond is there to exhaust its reader.
MOST_BYTES = 2**20

#: Blocks that are also named after the track: `sed_system`.
_TRACKED = ("system", "results")
#: Characters of the keys that lead to a value.
_LONGEST_PATH = 1000
#: Characters of a value in a message.
_SHOWN = 80

#: Stands for a key that is not there, where null is something else.
ABSENT = object()


def get(block: Any, path: str, default: Any = None) -> Any:
    """Return the value of a dotted path in nested mappings."""
    for key in path.split("."):
        if not isinstance(block, Mapping) or key not in block:
            return default
        block = block[key]
    return block


def shown(value: Any) -> str:
    """Write a meta file's value for a message, however much it holds."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@dataclass(frozen=True)
class Meta:
    """A meta file: its path in the package, what stands in it, and where its faults are noted.

    `lines` are the lines of keys (1 is the first) by their paths: keys, and positions in lists from 0, joined by dots.
    `tracked` tells that `sed_system` and `sed_results` describe the system: they are looked up as `system` and
    `results`.
    """

    file: str
    values: Mapping[str, Any]
    findings: Findings = field(default_factory=Findings)
    lines: Mapping[str, int] = field(default_factory=dict)
    tracked: bool = False

    @classmethod
    def of(
        cls,
        file: str,
        values: Mapping[str, Any],
        findings: Findings | None = None,
        lines: Mapping[str, int] | None = None,
    ) -> Meta:
        """Take the blocks that describe the system: 2020 and 2021 also name them after the track."""
        tracked = values.get("system") is None and values.get("sed_system") is not None
        return cls(file, values, findings or Findings(), lines or {}, tracked)

    def called(self, path: str) -> str:
        """Return what the file calls a path."""
        return f"sed_{path}" if self.tracked and path.partition(".")[0] in _TRACKED else path

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value of a path."""
        return get(self.values, self.called(path), default)

    def row(self, path: str) -> int | None:
        """Return the line of a key, or where it is missing that of the block it belongs to."""
        path = self.called(path)[:_LONGEST_PATH]
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None

    def tell(
        self,
        kind: str,
        path: str | None,
        message: str,
        expected: str = "",
        severity: str | None = None,
        count: int = 1,
    ) -> None:
        """Note a fault of a key's value, None of the whole file."""
        row = None if path is None else self.row(path)
        self.findings.add(kind, self.file, message, expected, row, count, severity)

    @property
    def second(self) -> Meta | None:
        """`sed_system` and `sed_results` where they stand beside the plain blocks: the script of 2020 reads both."""
        beside = not self.tracked and self.values.get("sed_system") is not None
        return replace(self, tracked=True, findings=Findings(self.findings.form)) if beside else None


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
        row = mark.line + 1 if mark else None
        findings.add("meta_unreadable", file, f"is no valid YAML ({problem})", "the template's YAML", row)
        return None
    if not isinstance(content, dict):
        findings.add("meta_unreadable", file, f"holds {type(content).__name__}", "submission, system, results")
        return None
    for row, (path, before, same) in where.repeated.items():
        # PyYAML takes the last one without a word.
        message = f"{path} stands twice, first in row {before}; the last one is read"
        severity = WARNING if same else SCORED_WRONGLY
        findings.add("meta_key_twice", file, message, "each key once", row, severity=severity)
    if "#" in text:
        _check_hash_signs(file, lines, content, findings)
    return Meta.of(file, content, findings, where.rows)


def _check_hash_signs(file: str, lines: list[str], content: dict[str, Any], findings: Findings) -> None:
    import yaml

    try:
        # The validators of 2020 and 2024 cut every line at "#", inside quotes too.
        cut = _load("\n".join(line.split("#")[0].rstrip() for line in lines))
    except (yaml.YAMLError, ValueError):
        cut = None
    if cut != content:
        rows = (i for i, line in enumerate(lines, start=1) if "#" in line and not line.lstrip().startswith("#"))
        message = "a value holds #, where the validators cut the line"
        # What is left may still be read, as something else.
        severity = WARNING if isinstance(cut, dict) else REFUSED
        findings.add("meta_hash_sign", file, message, "no #", next(rows, None), severity=severity)


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

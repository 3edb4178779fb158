"""What was made from what: `<output>.done.json` beside each output, written last.

A call whose stamp still holds is skipped. What counts is content: files may be touched, moved or copied together with
what was made from them. The check compares names, sizes and times and hashes only what looks changed, so it costs
milliseconds. A stamp also keeps facts about its output, for the calls that go on from there (see `core.facts`).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import sedkit
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import content_hash, lock, sha256_file, write_json
from sedkit.core.log import log
from sedkit.core.parallel import cpu_jobs

#: A file, a folder, or files by name.
Source = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]
#: Part of a folder that is the tool's own and says nothing about its content.
_OWN = (".done.json", ".lock", ".part", ".parts")
#: Stands for a file in its own description.
_SELF = "."
#: A file system's clock may stand still for this long: what is younger could change without looking changed.
_TICK_NS = 20_000_000
#: Below this many bytes another thread is not worth it.
_THREADS_FROM = 1 << 22


class Look(NamedTuple):
    """How a file looks from outside: bytes, and the times of its last change of content and of anything."""

    size: int
    mtime_ns: int
    ctime_ns: int


Looks = dict[str, tuple[str, Look]]
#: Name -> how a file looked, and the SHA-256 of its content.
Description = dict[str, tuple[Look, str]]


def look(source: Source) -> Looks:
    """Return every file of a source by name (`.` for a file itself; in a folder its path from there) with its look."""
    if isinstance(source, Mapping):
        return {name: (os.fspath(path), _look(path)) for name, path in source.items()}
    if os.path.isdir(source):
        return dict(sorted(_below(os.fspath(source), "", ())))
    return {_SELF: (os.fspath(source), _look(source))}


def _look(path: str | os.PathLike[str]) -> Look:
    try:
        stat = os.stat(path)
    except OSError:
        raise SedkitError(f"{path}: no such file or folder") from None
    return Look(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _below(folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, Look]]]:
    """Yield the files below a folder, links followed."""
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_OWN) or entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _below(entry.path, f"{prefix}{entry.name}/", (*above, here))
            elif entry.is_file():
                stat = entry.stat()
                yield prefix + entry.name, (entry.path, Look(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


def describe(source: Source, known: Description | None = None) -> Description:
    """Return look and hash of every file of a source; where a file looks as it is `known`, its hash is believed."""
    return _hashed(look(source), known or {})


@functools.cache
def _sha256(path: str, _: Look) -> str:
    return sha256_file(path)


def _hashed(looks: Looks, known: Description) -> Description:
    changed = {name: seen for name, seen in looks.items() if name not in known or known[name][0] != seen[1]}
    if changed:
        age_ns = time.time_ns() - max(seen.ctime_ns for _, seen in changed.values())
        if age_ns < _TICK_NS:
            time.sleep(min(_TICK_NS, _TICK_NS - age_ns) / 1e9)
    hashes: Iterable[str] = (_sha256(*seen) for seen in changed.values())
    if len(changed) > 1 and sum(seen.size for _, seen in changed.values()) >= _THREADS_FROM:
        with ThreadPoolExecutor(cpu_jobs()) as pool:
            hashes = list(pool.map(lambda seen: _sha256(*seen), changed.values()))
    hashed = dict(zip(changed, hashes, strict=True))
    return {name: (seen, hashed.get(name) or known[name][1]) for name, (_, seen) in looks.items()}


def _same(looks: Looks, known: Description) -> Description | None:
    """Return the description of a source if it has the content that is known, else None."""
    if looks.keys() != known.keys() or any(known[n][0].size != seen.size for n, (_, seen) in looks.items()):
        return None
    now = _hashed(looks, known)
    return now if all(now[name][1] == known[name][1] for name in now) else None


def _as_text(description: Description) -> dict[str, str]:
    return {name: f"{seen.size} {seen.mtime_ns} {seen.ctime_ns} {sha}" for name, (seen, sha) in description.items()}


def _from_text(texts: Mapping[str, str]) -> Description:
    out: Description = {}
    for name, text in texts.items():
        size, mtime_ns, ctime_ns, sha = text.split(" ")
        out[name] = (Look(int(size), int(mtime_ns), int(ctime_ns)), sha)
    return out


def _would_change(output: Path, given: Path) -> bool:
    """Tell whether writing `output` would change `given`: the same file by whatever name or link, or one inside it."""
    if output.exists() and given.exists() and output.samefile(given):
        return True
    return given.resolve() in (output.resolve(), *output.resolve().parents)


@dataclass(frozen=True)
class _Stamp:
    verb: str
    version: str
    config: str
    inputs: dict[str, Description]
    outputs: dict[str, Description]
    facts: dict[str, Any]

    def write(self, path: Path) -> None:
        sides = {
            side: {role: _as_text(description) for role, description in getattr(self, side).items()}
            for side in ("inputs", "outputs")
        }
        call = {"verb": self.verb, "version": self.version, "config": self.config}
        write_json(path, call | sides | {"facts": self.facts})


def read_stamp(path: Path) -> _Stamp | None:
    """Return a stamp, or None where there is none that can be read."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        inputs, outputs = (
            {role: _from_text(texts) for role, texts in raw[side].items()} for side in ("inputs", "outputs")
        )
        return _Stamp(raw["verb"], raw["version"], raw["config"], inputs, outputs, dict(raw["facts"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def facts_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the facts that the call which made a file or folder left in its stamp.

    Nothing is known ({}) of what has no stamp, or is not any more what the stamp is about.
    """
    path = Path(path)
    stamp = read_stamp(_stamp_path(path))
    if stamp is None or not path.exists() or _same(look(path), stamp.outputs.get(_SELF, {})) is None:
        return {}
    return stamp.facts


def _stamp_path(output: Path) -> Path:
    return output.with_name(output.name + ".done.json")


@dataclass
class Step:
    """One call of the command line: what it makes, from what, under which configuration.

    Parameters
    ----------
    verb
        The verb, for messages and the stamp.
    output
        File or folder that the call makes.
    config
        JSON-able: the configuration sections and options that the result depends on, without the places of files.
    inputs
        Files, folders and named files that the result depends on, by what they are to it (`scores`, `reference`); a
        sequence counts them.
    force
        Make the output again whatever the stamp says.
    beside
        Returns what else the call makes, by role; asked whenever outputs are looked at.
    facts
        JSON-able: what later calls have to know of the output and cannot see (`facts_of`), or what returns it, asked
        when the output is made. They have no part in whether the stamp holds.

    Raises
    ------
    UsageError
        The output is one of the inputs, or lies inside one.
    """

    verb: str
    output: Path
    config: dict[str, Any]
    inputs: Mapping[str, Source] | Sequence[Source] = field(default_factory=dict)
    force: bool = False
    beside: Callable[[], Mapping[str, Source]] = dict
    facts: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    _sources: Mapping[str, Source] = field(init=False, repr=False)
    _inputs: dict[str, Description] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.output = Path(self.output)
        given = self.inputs
        self._sources = given if isinstance(given, Mapping) else {str(i): source for i, source in enumerate(given)}
        for source in self._sources.values():
            if not isinstance(source, Mapping) and _would_change(self.output, Path(source)):
                raise self._would_change(source)

    @property
    def stamp_path(self) -> Path:
        """Where the stamp lies."""
        return _stamp_path(self.output)

    @property
    def lock_path(self) -> Path:
        """Where the lock lies while the output is made."""
        return self.output.with_name(f".{self.output.name}.lock")

    def _would_change(self, given: str | os.PathLike[str]) -> UsageError:
        return UsageError(f"{self.output} would change {given}, from which it is made; choose another place")

    def content(self) -> dict[str, dict[str, str]]:
        """Return the hash of every file of the inputs, by role and name: what they are, wherever they lie."""
        if self._inputs is None:
            self._inputs = self._describe_inputs()
        return {role: {name: sha for name, (_, sha) in files.items()} for role, files in self._inputs.items()}

    def holds(self, quiet: bool = False) -> bool:
        """Tell whether the output is there and up to date, and say so."""
        stamp = None if self.force else read_stamp(self.stamp_path)
        if stamp is None or (stamp.verb, stamp.version, stamp.config) != self._call():
            return False
        try:
            inputs = self._unchanged(self._sources, stamp.inputs)
            if inputs is None or self._unchanged({_SELF: self.output}, stamp.outputs, partly=True) is None:
                return False
            outputs = self._unchanged({_SELF: self.output, **self.beside()}, stamp.outputs)
        except SedkitError:
            return False  # a file is gone
        if outputs is None:
            return False
        now = _Stamp(*self._call(), inputs, outputs, stamp.facts)
        if now != stamp:
            # Touched, copied: what was hashed now is believed next time. Where nothing may be written, hash again then.
            with contextlib.suppress(OSError):
                now.write(self.stamp_path)
        if not quiet:
            log.info("%s: %s is up to date", self.verb, self.output)
        return True

    def inputs_hold(self) -> bool:
        """Tell whether the inputs have the content from which the output was made."""
        stamp = read_stamp(self.stamp_path)
        return stamp is not None and self._unchanged(self._sources, stamp.inputs) is not None

    def run(self, make: Callable[[], object]) -> bool:
        """Call `make` unless the output is up to date, holding its lock, and write the stamp; tell whether it ran.

        Who has waited for another process to make the same output looks again first.
        """
        if self.holds():
            if self.lock_path.exists():
                # Left by a process that was killed: it goes when it is taken.
                with contextlib.suppress(OSError, SedkitError), lock(self.lock_path, 0):
                    pass
            return False
        with self.running() as due:
            if due:
                make()
        return due

    @contextlib.contextmanager
    def running(self, wait_s: float | None = None) -> Iterator[bool]:
        """Hold the output's lock while the block makes it; write the stamp when the block ends without an error.

        Yields whether there is anything to make.
        """
        with lock(self.lock_path, wait_s):
            if self.holds():
                yield False
                return
            self._check_named_apart()
            inputs = self._inputs = self._describe_inputs()
            self.stamp_path.unlink(missing_ok=True)
            yield True
            outputs = {role: describe(source) for role, source in {_SELF: self.output, **self.beside()}.items()}
            facts = self.facts() if callable(self.facts) else self.facts
            _Stamp(*self._call(), inputs, outputs, dict(facts)).write(self.stamp_path)

    def _check_named_apart(self) -> None:
        """Check what may be thousands of files, where they are about to be read anyway."""
        if not self.output.exists():
            return
        made = self.output.stat()
        for source in self._sources.values():
            for given in source.values() if isinstance(source, Mapping) else ():
                if os.path.samestat(os.stat(given), made):
                    raise self._would_change(given)

    def _call(self) -> tuple[str, str, str]:
        return self.verb, sedkit.__version__, content_hash(self.config)

    def _describe_inputs(self) -> dict[str, Description]:
        """Describe the inputs, believing this step's stamp, and that of the call that made an input."""
        before = read_stamp(self.stamp_path)
        known = before.inputs if before else {}
        out = {}
        for role, source in self._sources.items():
            description = known.get(role, {})
            if not isinstance(source, Mapping) and not description:
                made_by = read_stamp(_stamp_path(Path(source)))
                description = made_by.outputs.get(_SELF, {}) if made_by else {}
            out[role] = describe(source, description)
        return out

    def _unchanged(
        self, sources: Mapping[str, Source], known: Mapping[str, Description], partly: bool = False
    ) -> dict[str, Description] | None:
        """Return the descriptions of sources if they have the content that is known, else None."""
        if not partly and sources.keys() != known.keys():
            return None
        out = {}
        for role, source in sources.items():
            now = _same(look(source), known.get(role, {}))
            if now is None:
                return None
            out[role] = now
        return out

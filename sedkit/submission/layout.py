"""Which folders of a package are systems, and what lies where the organisers' script would not look.

The script of 2020 takes ``*/*.yaml`` and ``*.pdf``: systems lie in folders at the top, the report beside them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sedkit.core.errors import listed
from sedkit.evaluation.reading import threshold_of
from sedkit.submission.findings import MOST_PER_KIND, NOTE, REFUSED, WARNING, Findings
from sedkit.submission.formats import Format

TABLE = re.compile(r"\.(?:csv|tsv|txt)$", re.IGNORECASE)

_STOPS = "the organisers' script takes every folder for a system and stops"
_META = re.compile(r"\.meta\.ya?ml$", re.IGNORECASE)
_OUTPUT_TABLE = re.compile(r"\.output\.(?:csv|tsv|txt)$", re.IGNORECASE)
_OUTPUT_FOLDER = re.compile(r"\.output(?:_PSDS)?$")
#: A run's folder of a year that asks for several.
_RUN = re.compile(r"_run\d+(?:_unprocessed)?\.output$")
#: What makes a folder a system's where nothing in it carries its proper name.
_LIKELY = re.compile(r"\.(?:ya?ml|csv|tsv)$", re.IGNORECASE)
#: How files and folders of CodeCarbon's tables begin, in lower case.
ENERGY = ("codecarbon", "energy", "emissions")
_JUNK = re.compile(
    r"(?:^|/)(?:__MACOSX/|\.ipynb_checkpoints/|__pycache__/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]*$)",
    re.IGNORECASE,
)
#: In a label: surname, institute, task, number.
_UNDERSCORES = 3
#: Written by the organisers' script beside the systems.
_VALIDATED = "validated"


@dataclass
class SystemFolder:
    """The files of one system: those in its folder, and those of its sub-folders by the folder's path inside it.

    `astray` are operating points that lie outside of it, by their folder's path in the package.
    """

    path: str
    label: str
    files: list[str] = field(default_factory=list)
    folders: dict[str, list[str]] = field(default_factory=dict)
    astray: dict[str, list[str]] = field(default_factory=dict)

    def outputs(self, form: Format) -> dict[str, list[str]]:
        """Return the files of an output as a format calls it, of the first run, by the labels that they carry."""
        if form.scores is None:
            suffix, files = str(form.table_suffix), {name: [name] for name in self.files}
        else:
            suffix, files = form.scores.suffix.format(run=1), self.folders
        out: dict[str, list[str]] = {}
        for path, found in files.items():
            # Without a number in its name, a folder is none of those that other years number.
            if path.endswith(suffix) and (suffix != ".output" or not _RUN.search(path)):
                out.setdefault(PurePosixPath(path).name.removesuffix(suffix), found)
        return out

    def place(self, inside: str) -> str:
        """Return the path in the package of a file or folder of the system."""
        return f"{self.path}/{inside}".lstrip("/")


@dataclass(frozen=True)
class Layout:
    """The systems of a package, the folder they lie in ("" is the top), and whether the package is one system alone."""

    systems: tuple[SystemFolder, ...]
    base: str
    single: bool


def without_junk(names: Iterable[str], form: Format, findings: Findings) -> list[str]:
    """Return the files that somebody put there; those that a file manager left are noted."""
    files: list[str] = []
    junk: dict[str, int] = {}
    for name in names:
        match = _JUNK.search(name)
        if match is None:
            files.append(name)
        else:
            place = name[: match.end()]
            junk[place] = junk.get(place, 0) + 1
    for place, count in list(junk.items())[:MOST_PER_KIND]:
        message = "was left by a file manager" + (f" ({count} files)" if count > 1 else "")
        stops = form.folders_checked and place.count("/") == 1 and place.endswith("/")
        message += f": {_STOPS}" if stops else ""
        findings.add("stray_file", place, message, "only the submission's files", severity=REFUSED if stops else NOTE)
    if len(junk) > MOST_PER_KIND:
        findings.add("stray_file", "", f"{len(junk) - MOST_PER_KIND} more left by a file manager")
    return files


def find_layout(
    names: Sequence[str], root_name: str | None, form: Format, findings: Findings, empty_folders: Iterable[str] = ()
) -> Layout:
    """Find the systems of a package, and note what lies in the wrong place.

    Parameters
    ----------
    names
        Paths of the files.
    root_name
        The package folder's own name: it may be a system's folder. None for a zip.
    empty_folders
        Folders without any file: one may be named like a system.
    """
    empty = [folder for folder in empty_folders if not _JUNK.search(f"{folder}/")]
    homes = _homes(names, empty, root_name, form)
    if homes == [""]:
        label = root_name if root_name is not None else _label_of_files(names, form)
        layout = Layout(tuple(_collect(names, {"": label})), "", single=root_name is not None)
        if root_name is None:
            message = "the zip holds a system's files without its folder"
            findings.add("no_folder", "", message, f"{label}/{label}.…")
        return layout
    systems = _collect(names, {home: PurePosixPath(home).name for home in homes})
    systems.sort(key=lambda system: (system.path.count("/"), system.path))
    parents = {_parent(home) for home in homes}
    base = parents.pop() if len(parents) == 1 else ""
    _check_places(systems, findings)
    # In a folder the zip that was made of it is no fault, in a zip it is.
    packed = _zips_of(homes, form) if root_name is not None else frozenset()
    astray = _give_points_back(names, homes, systems, form) if form.points else frozenset()
    _check_others([name for name in names if name not in astray], empty, homes, packed, form, findings)
    # A second copy has the first one's faults.
    first: dict[str, SystemFolder] = {}
    for system in systems:
        first.setdefault(system.label, system)
    return Layout(tuple(sorted(first.values(), key=lambda system: system.path)), base, single=False)


def _homes(names: Sequence[str], empty: Sequence[str], root_name: str | None, form: Format) -> list[str]:
    """Return the folders that are systems; none of them lies in another one."""
    certain: set[str] = set()
    # By folder: has it a table that is no operating point, how many that are, has it a YAML file?
    tables: set[str] = set()
    points: Counter[str] = Counter()
    described: set[str] = set()
    # Of an empty folder nothing but its name can tell.
    likely = {home for home in empty if form.label_pattern.fullmatch(PurePosixPath(home).name)}
    for name in names:
        parts = PurePosixPath(name).parts
        for depth, folder in enumerate(parts[:-1]):
            if _OUTPUT_FOLDER.search(folder):
                certain.add("/".join(parts[:depth]))
                break
            if form.label_pattern.fullmatch(folder):
                likely.add("/".join(parts[: depth + 1]))
            elif folder.lower().startswith(ENERGY):
                break
        else:
            above = "/".join(parts[:-1])
            if _META.search(name) or _OUTPUT_TABLE.search(name):
                certain.add(above)
            elif _LIKELY.search(name):
                likely.add(above)
                if not TABLE.search(name):
                    described.add(above)
                elif not is_point(name):
                    tables.add(above)
                else:
                    points[above] += 1
    # One alone is a table whose name ends in a number.
    tables |= {home for home, count in points.items() if count == 1}
    if "" in certain and root_name is not None and form.label_pattern.fullmatch(root_name):
        return [""]
    inner = certain - {""}
    if inner:
        # Beside good systems stand badly named ones: with an output, or with a name like theirs.
        places = {_parent(home) for home in inner}
        beside = {home for home in likely - {""} if _parent(home) in places}
        certain = inner | {home for home in beside if _is_like_system(home, tables, described, form)}
        # A folder named like a system that only holds the system's folder is a wrapper.
        certain -= {above for home in inner for above in _above(home) if above in likely and above not in inner}
    elif not certain:
        named = {home for home in likely if form.label_pattern.fullmatch(PurePosixPath(home).name)}
        deeper = likely - {""}
        lowest = min((home.count("/") for home in deeper), default=0)
        # Of a folder that nothing is known of, its own files tell more than those of its sub-folders.
        certain = named or (likely & {""}) or {home for home in deeper if home.count("/") == lowest}
    return sorted(home for home in certain if not _lies_in_another(home, certain))


def _is_like_system(home: str, tables: Set[str], described: Set[str], form: Format) -> bool:
    """Whether a folder beside systems is a badly named one of them, not one that has no place there."""
    name = PurePosixPath(home).name
    if form.label_pattern.fullmatch(name):
        return True
    if name.count("_") >= _UNDERSCORES:
        return home in tables or home in described
    return home in tables and home in described and not form.folders_checked


def _parent(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the outermost first; "" is none of them."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _lies_in_another(home: str, homes: Set[str]) -> bool:
    return any(above in homes for above in _above(home)) or ("" in homes and home != "")


def _label_of_files(names: Sequence[str], form: Format) -> str:
    """Return the label that the files of a system without its folder carry."""
    stems = [
        re.split(r"(?:_run\d+)?(?:_unprocessed)?\.(?:meta|output|ya?ml|csv|tsv)", name)[0]
        for name in sorted(names, key=lambda name: (not _META.search(name), name))
        if not name.lower().endswith(".pdf")
    ]
    return next((stem for stem in stems if form.label_pattern.fullmatch(stem)), stems[0] if stems else "<label>")


def _home_of(name: str, homes: Set[str]) -> str | None:
    """Return the system's folder that a file lies in, None where it lies in none: there is one at most."""
    if "" in homes:
        return ""
    return next((above for above in _above(name) if above in homes), None)


def _collect(names: Iterable[str], label_of: Mapping[str, str]) -> list[SystemFolder]:
    """Return the systems, one for each folder that has a label, with the files that lie in it."""
    systems = {home: SystemFolder(home, label) for home, label in label_of.items()}
    for name in names:
        home = _home_of(name, systems.keys())
        if home is None:
            continue
        folder = name[len(home) :].lstrip("/").rpartition("/")[0]
        if folder:
            systems[home].folders.setdefault(folder, []).append(name)
        else:
            systems[home].files.append(name)
    return list(systems.values())


def _check_places(systems: Sequence[SystemFolder], findings: Findings) -> None:
    """Note systems that stand twice, and those that lie too deep."""
    first: dict[str, str] = {}
    deep: dict[str, list[str]] = {}
    for system in systems:
        parent = _parent(system.path)
        if system.label in first:
            message = f"system {system.label} stands in {first[system.label]} as well"
            # The scripts of other years than 2024 do not look so deep.
            findings.add("label_twice", system.path, message, "each system once")
        elif parent:
            deep.setdefault(parent, []).append(system.label)
        first.setdefault(system.label, system.path)
    for parent, labels in deep.items():
        message = f"{listed(labels, 4)} lies in it: the organisers' script looks into the folders at the top alone"
        findings.add("nested", parent, message, "<label>/ at the top, the report beside it")


def _give_points_back(
    names: Iterable[str], homes: Sequence[str], systems: Sequence[SystemFolder], form: Format
) -> Set[str]:
    """Give tables of thresholds outside of the systems to the one whose label leads to them; return their names.

    Of a single system they are, whatever they are called.
    """
    within = frozenset(homes)
    looked_at = systems[: 2 * form.max_systems]
    outside: dict[str, list[str]] = {}
    for name in names:
        if _home_of(name, within) is None and is_point(name):
            outside.setdefault(_parent(name), []).append(name)
    given: set[str] = set()
    for folder, files in outside.items():
        led = [system for system in looked_at if system.label in files[0]]
        mine = max(led, key=lambda system: len(system.label)) if led else systems[0] if len(systems) == 1 else None
        if mine is not None and len(files) > 1:
            mine.astray[folder] = files
            given.update(files)
    return given


def is_point(name: str) -> bool:
    """Tell whether a file is called like a table of one threshold."""
    threshold = threshold_of(PurePosixPath(name).stem) if TABLE.search(name) else None
    return threshold is not None and 0 <= threshold <= 1


def _zips_of(homes: Iterable[str], form: Format) -> frozenset[str]:
    """Return the names of the zips that `sedkit pack` leaves beside systems' folders."""
    labels = filter(None, (form.label_pattern.fullmatch(PurePosixPath(home).name) for home in homes))
    return frozenset(f"{match['base']}.zip" for match in labels)


def _check_others(
    names: Sequence[str], empty: Iterable[str], homes: Sequence[str], packed: Set[str], form: Format, findings: Findings
) -> None:
    """Warn of what is neither a system's nor a report, nor one of the `packed` zips; refuse what a script stops at."""
    within = frozenset(homes)
    reported = any("/" not in name and name.lower().endswith(".pdf") for name in names)
    # The systems' folders and those around them.
    known = within.union(*(_above(home) for home in homes))
    files: list[str] = []
    folders: dict[str, int] = {}
    for name in names:
        if _home_of(name, within) is not None:
            continue
        # A report that lies elsewhere, where there is none at the top, is missed there.
        if name.lower().endswith(".pdf") and not (form.folders_checked and reported and "/" in name):
            continue
        if PurePosixPath(name).name == _VALIDATED or name in packed:
            continue
        # The folder that holds no system, or the file beside those that do.
        strange = next((above for above in _above(name) if above not in known), None)
        if strange is None:
            files.append(name)
        else:
            folders[strange] = folders.get(strange, 0) + 1
    expected = "system folders and the report only"
    if files:
        message = "belongs to no part of a submission"
        findings.add("extra_file", files[0], message, expected, count=len(files))
    for name in empty:
        if _home_of(f"{name}/", within) is None and name not in known:
            folders.setdefault(name.split("/")[0] if name.split("/")[0] not in known else name, 0)
    stopped = {name: form.folders_checked and "/" not in name for name in folders}
    for severity in (REFUSED, WARNING):
        some = [name for name in folders if stopped[name] == (severity == REFUSED)]
        if not some:
            continue
        count = folders[some[0]]
        message = f"its {count} files belong to no part of a submission" if count > 1 else "belongs to no part of it"
        message = message if count else "is empty"
        message += f" (and so {len(some) - 1} more folders: {listed(some[1:], 3)})" if len(some) > 1 else ""
        message += f": {_STOPS}" if severity == REFUSED else ""
        findings.add("extra_folder", some[0], message, expected, count=len(some), severity=severity)

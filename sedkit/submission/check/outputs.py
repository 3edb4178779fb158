"""A system's output: its event table and operating points, or the score folders of its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath

from sedkit.core.errors import listed
from sedkit.dataio.events import Events
from sedkit.evaluation.reading import threshold_of
from sedkit.submission.archive import Package
from sedkit.submission.check.bytes import TableBudget
from sedkit.submission.check.clips import ClipList
from sedkit.submission.check.energy import energy_tables
from sedkit.submission.check.layout import ENERGY, TABLE, System, is_point
from sedkit.submission.check.points import Point, check_order, check_thresholds
from sedkit.submission.check.scores import RunScores, ScoreFolder, check_score_folder
from sedkit.submission.check.table import MOST_BYTES, check_table
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format

#: Post-processing that changes hardly a table is none.
_NEARLY_ALL = 0.9


@dataclass
class Output:
    """What a system's output files hold, as far as they can be read.

    Attributes
    ----------
    events, points, runs
        Events, operating points, scores by run.
    energy
        CodeCarbon's tables: path in the package, and bytes.
    digest
        Of the bytes of all output tables; empty where there are none.
    """

    events: Events | None = None
    points: list[Events] = field(default_factory=list)
    runs: dict[int, RunScores] = field(default_factory=dict)
    energy: dict[str, bytes] = field(default_factory=dict)
    digest: bytes = b""


def check_outputs(
    package: Package,
    system: System,
    form: Format,
    clips: ClipList | None,
    scored: frozenset[str],
    budget: TableBudget,
    findings: Findings,
) -> Output:
    """Look for faults in a system's output files.

    Parameters
    ----------
    package, system
        Where they are.
    form
        The year's format.
    clips
        The evaluation list, None where unknown.
    scored
        Ids of the clips whose scores are kept.
    budget
        How many rows of event tables are still read.
    findings
        Where faults are noted.
    """
    points = _find_points(system, form) if form.points else None
    _check_rest(system, form, points, findings)
    energy = energy_tables(package, system)
    if form.energy and not energy:
        findings.add(NOTE, "energy_files", system.path, "no CodeCarbon table among the files", "CodeCarbon's csv")
    output = Output(energy=energy)
    if form.scores:
        _check_runs(package, system, form, clips, scored, output, findings)
    else:
        before = len(budget.unread)
        _check_events(package, system, form, clips, points, output, budget, findings)
        if form.points:
            _check_points(package, system, form, points, clips, output, budget, findings)
        if len(budget.unread) > before:
            # Some of the tables tell neither the figures nor whether another system is the same.
            output.points, output.digest = [], b""
    return output


def _find_points(system: System, form: Format) -> tuple[str, list[str]] | None:
    """Return where a system's operating points lie, and the tables.

    That is the folder of the right name where it holds tables of thresholds, else whatever holds most of them: another
    folder, inside the system's or not, or the system's folder itself.
    """
    assert form.points is not None
    wanted = system.place(f"{system.label}{form.points.suffix}")
    inside = {system.place(folder): files for folder, files in system.folders.items()}
    loose = [name for name in system.files if is_point(name) and ".output" not in name]
    tables = {
        place: [name for name in files if _is_table_of_points(name)]
        for place, files in {**inside, **system.astray, **({system.path: loose} if len(loose) > 2 else {})}.items()
    }
    counted = {place: sum(map(is_point, files)) for place, files in tables.items()}
    most = max(counted, key=lambda place: counted[place], default="")
    if not counted.get(wanted) and counted.get(most, 0) > 1:
        return most, tables[most]
    return (wanted, tables[wanted]) if tables.get(wanted) else None


def _is_table_of_points(name: str) -> bool:
    return threshold_of(PurePosixPath(name).stem) is not None or name.lower().endswith((".tsv", ".csv"))


def _check_rest(system: System, form: Format, points: tuple[str, list[str]] | None, findings: Findings) -> None:
    """Warn of files and folders that are no part of a system."""
    for name in system.files:
        low = name.lower()
        if not (TABLE.search(low) or low.endswith((".yaml", ".yml", ".pdf"))):
            findings.add(WARNING, "extra_file", name, "belongs to no part of a submission", "output and meta file only")
    known = [f"{system.label}{form.points.suffix}"] if form.points else []
    for name in [name for folder in known for name in system.folders.get(folder, [])]:
        if not _is_table_of_points(name):
            findings.add(WARNING, "extra_file", name, "is no table of a threshold", "…_0.01.tsv")
    if form.scores:
        for run in range(1, form.scores.runs + 1):
            known.append(system.label + form.scores.suffix.format(run=run))
            if form.scores.unprocessed:
                known.append(system.label + form.scores.unprocessed_suffix.format(run=run))
    for folder in system.folders:
        of_points = points is not None and points[0] == system.place(folder)
        if folder not in known and not of_points and not folder.lower().startswith(ENERGY):
            expected = f"only {listed(dict.fromkeys(known), 8)}" if known else "no folder"
            findings.add(WARNING, "extra_folder", system.place(folder), "belongs to no part of a submission", expected)


def _check_events(
    package: Package,
    system: System,
    form: Format,
    clips: ClipList | None,
    points: tuple[str, list[str]] | None,
    output: Output,
    budget: TableBudget,
    findings: Findings,
) -> None:
    loose = frozenset(points[1] if points is not None else ())
    wanted = f"{system.label}{form.table_suffix}"
    tables = [n for n in system.files if TABLE.search(n) and n not in output.energy and n not in loose]
    tables = [n for n in tables if not PurePosixPath(n).name.lower().startswith(ENERGY)]
    named = [n for n in tables if PurePosixPath(n).name == wanted]
    if not tables:
        findings.add(REFUSED, "output_missing", system.path, "no output table", wanted)
        return
    name = (named or [n for n in tables if ".output" in n] or tables)[0]
    if not named:
        findings.add(WARNING, "output_name", name, "not named after its folder", wanted)
    others = [other for other in tables if other != name]
    if others:
        findings.add(WARNING, "extra_file", others[0], "a second table", f"only {wanted}", count=len(others))
    data = budget.read(package, name, MOST_BYTES, findings)
    if data is not None:
        output.digest += sha256(data).digest()
        output.events = check_table(name, data, form, clips, findings)


def _check_points(
    package: Package,
    system: System,
    form: Format,
    tables: tuple[str, list[str]] | None,
    clips: ClipList | None,
    output: Output,
    budget: TableBudget,
    findings: Findings,
) -> None:
    assert form.points is not None
    wanted = system.place(f"{system.label}{form.points.suffix}")
    expected = f"one table for each of {len(form.points.thresholds)} thresholds"
    # Where the year ranks by PSDS, a system without them has no figure.
    severity = SCORED_WRONGLY if form.points.required else WARNING
    if tables is None:
        message = "no folder of operating points: PSDS cannot be computed"
        findings.add(severity if form.points.required else NOTE, "points_missing", wanted, message, expected)
        return
    where, files = tables
    if where != wanted:
        message = f"{len(files)} operating points in another place than their folder: they are not looked for there"
        findings.add(severity, "points_place", where, message, f"{wanted}/")
    # What is wrong with one table is mostly wrong with all of them.
    together = Findings()
    points: dict[str, Point] = {}
    for name in sorted(files):
        quiet = Findings()
        data = budget.read(package, name, MOST_BYTES, quiet)
        events = None if data is None else check_table(name, data, form, clips, quiet)
        if data is not None:
            digest = sha256(data).digest()
            output.digest += digest
            if events is not None:
                points[name] = Point(digest, events)
        # No detection at a high threshold is right (an empty file is not), and which clips are silent there is
        # nobody's fault.
        together.take(quiet, without=("table_empty", "no_events", "clip_missing") if package.size(name) else ())
    findings.sum_up(together, where)
    output.points = [point.events for point in points.values()]
    if points and not any(events.n_events for events in output.points):
        message = f"no event in any of {len(points)} tables"
        findings.add(SCORED_WRONGLY, "no_events", where, message, "the events detected at each threshold")
    check_thresholds(where, sorted(files), form.points.thresholds, severity, findings)
    check_order(where, points, form.labels, severity, findings)


def _check_runs(
    package: Package,
    system: System,
    form: Format,
    clips: ClipList | None,
    scored: frozenset[str],
    output: Output,
    findings: Findings,
) -> None:
    assert form.scores is not None
    # What is wrong with one table is mostly wrong with all of them, in every folder.
    together = Findings()
    folders: list[ScoreFolder] = []
    processed: list[ScoreFolder] = []
    for run in range(1, form.scores.runs + 1):
        for suffix, needed in ((form.scores.suffix, True), (form.scores.unprocessed_suffix, False)):
            if not needed and not form.scores.unprocessed:
                continue
            where = system.place(system.label + suffix.format(run=run))
            files = system.folders.get(system.label + suffix.format(run=run))
            if files:
                scores = RunScores(scored) if needed else None
                folder = check_score_folder(where, tuple(files), package, form, clips, together, scores)
                folders.append(folder)
                processed += [folder] if needed else []
                output.runs |= {run: scores} if scores else {}
                output.digest += folder.digest if needed else b""
            elif needed:
                together.add(REFUSED, "run_missing", where, "no scores", f"{form.scores.runs} runs")
            else:
                together.add(
                    WARNING, "unprocessed_missing", where, "no unprocessed scores", "scores before post-processing"
                )
    raw = [folder for folder in folders if folder not in processed]
    _compare_with_unprocessed(raw, processed, together)
    findings.sum_up(together, system.path)
    if clips is None:
        _compare_clips(folders, findings)
    _compare_runs(processed, findings)


def _compare_clips(folders: list[ScoreFolder], findings: Findings) -> None:
    """Without a list, the clips that most folders hold are those that all should."""
    sets = [folder.clips for folder in folders if folder.clips]
    if not sets:
        return
    usual = max(sets, key=lambda clips: (sets.count(clips), len(clips)))
    for folder in folders:
        absent, more = sorted(usual - folder.clips), sorted(folder.clips - usual)
        if folder.clips and (absent or more):
            parts = [f"{len(absent)} missing ({listed(absent, 3)})"] if absent else []
            parts += [f"{len(more)} that others have not ({listed(more, 3)})"] if more else []
            message = f"other clips than in the other folders: {', '.join(parts)}"
            findings.add(REFUSED, "clips_differ", folder.path, message, "the same clips in every folder of a system")


def _compare_with_unprocessed(before: list[ScoreFolder], after: list[ScoreFolder], findings: Findings) -> None:
    """Warn of scores before post-processing that are those after it, of the same run or another one."""
    for raw in before:
        same = [sum(digest == run.tables.get(clip) for clip, digest in raw.tables.items() if digest) for run in after]
        most = max(same, default=0)
        if raw.tables and most >= _NEARLY_ALL * len(raw.tables):
            message = "the same scores as after post-processing"
            message += f" in {most} of {len(raw.tables)} tables" if most < len(raw.tables) else ""
            expected = "scores before post-processing"
            findings.add(WARNING, "unprocessed_identical", raw.path, message, expected)


def _compare_runs(folders: list[ScoreFolder], findings: Findings) -> None:
    first: dict[bytes, str] = {}
    for folder in folders:
        if folder.clips and folder.digest in first:
            message = f"the same scores as {PurePosixPath(first[folder.digest]).name}"
            findings.add(WARNING, "runs_identical", folder.path, message, "independent trainings")
        first.setdefault(folder.digest, folder.path)

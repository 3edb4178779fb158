"""A system's output: its event table and operating points, or the score folders of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath

from sedkit.core.errors import listed
from sedkit.dataio.events import Events
from sedkit.evaluation.reading import threshold_of
from sedkit.submission.clip_list import ClipList
from sedkit.submission.energy_tables import energy_tables
from sedkit.submission.findings import NOTE, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format
from sedkit.submission.layout import ENERGY, TABLE, SystemFolder, is_point
from sedkit.submission.outputs.event_table import MOST_BYTES, check_table
from sedkit.submission.outputs.points import EventTable, check_order, check_thresholds
from sedkit.submission.outputs.raw import TableBudget
from sedkit.submission.outputs.score_tables import RunScores, ScoreFolder, check_score_folder
from sedkit.submission.package import Package

#: Post-processing that changes hardly a table is none.
_NEARLY_ALL = 0.9

#: Where the operating points of a system lie, and their tables.
_Points = tuple[str, list[str]]


@dataclass
class SystemOutput:
    """What a system's output files hold, as far as they can be read: events, operating points, scores by run.

    `energy` is the kWh of each measurement in CodeCarbon's tables, by their paths in the package; `digest` that of the
    bytes of all output tables, empty where there are none.
    """

    events: Events | None = None
    points: list[Events] = field(default_factory=list)
    runs: dict[int, RunScores] = field(default_factory=dict)
    energy: dict[str, tuple[float, ...]] = field(default_factory=dict)
    digest: bytes = b""


@dataclass
class OutputCheck:
    """Looks for faults in the output files of a package's systems.

    `scored` are the ids of the clips whose scores are kept, `budget` says how many rows of event tables are still read.
    """

    package: Package
    form: Format
    clips: ClipList | None
    scored: frozenset[str]
    findings: Findings
    budget: TableBudget = field(default_factory=TableBudget)

    def check(self, system: SystemFolder) -> SystemOutput:
        """Look for faults in a system's output files, and return what they hold."""
        tables = _find_points(system, self.form)
        self._check_rest(system, tables)
        # Where the year asks for no energy, its tables are none of the output at least.
        noted = self.findings if self.form.energy else Findings()
        output = SystemOutput(energy=energy_tables(self.package, system, noted))
        if self.form.energy and not output.energy:
            message = "no CodeCarbon table among the files"
            self.findings.add("energy_files", system.path, message, "CodeCarbon's csv")
        if self.form.scores:
            self._check_runs(system, output)
            return output
        before = len(self.budget.unread)
        self._check_events(system, tables, output)
        if self.form.points:
            self._check_points(system, tables, output)
        if len(self.budget.unread) > before:
            # Some of the tables tell neither the figures nor whether another system is the same.
            output.points, output.digest = [], b""
        return output

    def _check_rest(self, system: SystemFolder, points: _Points | None) -> None:
        """Warn of files and folders that are no part of a system."""
        for name in system.files:
            if not (TABLE.search(name) or name.lower().endswith((".yaml", ".yml", ".pdf"))):
                message = "belongs to no part of a submission"
                self.findings.add("extra_file", name, message, "output and meta file only")
        known = [system.label + suffix for suffix in _folders_of(self.form)]
        if self.form.points:
            for name in system.folders.get(known[0], []):
                if not _is_table_of_points(name):
                    self.findings.add("extra_file", name, "is no table of a threshold", "…_0.01.tsv")
        for folder in system.folders:
            place = system.place(folder)
            of_points = points is not None and points[0] == place
            if folder not in known and not of_points and not folder.lower().startswith(ENERGY):
                expected = f"only {listed(known, 8)}" if known else "no folder"
                self.findings.add("extra_folder", place, "belongs to no part of a submission", expected)

    def _check_events(self, system: SystemFolder, points: _Points | None, output: SystemOutput) -> None:
        none = {*output.energy, *(points[1] if points is not None else ())}
        tables = [n for n in system.files if TABLE.search(n) and n not in none]
        tables = [n for n in tables if not PurePosixPath(n).name.lower().startswith(ENERGY)]
        wanted = f"{system.label}{self.form.table_suffix}"
        named = [n for n in tables if PurePosixPath(n).name == wanted]
        if not tables:
            self.findings.add("output_missing", system.path, "no output table", wanted)
            return
        name = (named or [n for n in tables if ".output" in n] or tables)[0]
        if not named:
            self.findings.add("output_name", name, "not named after its folder", wanted)
        others = [other for other in tables if other != name]
        if others:
            self.findings.add("extra_file", others[0], "a second table", f"only {wanted}", count=len(others))
        table = self._read(name, output, self.findings)
        output.events = table.events if table else None

    def _read(self, name: str, output: SystemOutput, findings: Findings) -> EventTable | None:
        """Read an event table, None where it cannot be read; the output's digest grows by that of its bytes."""
        data = self.budget.read(self.package, name, MOST_BYTES, findings)
        if data is None:
            return None
        digest = sha256(data).digest()
        output.digest += digest
        events = check_table(name, data, self.form, self.clips, findings)
        return EventTable(digest, events) if events is not None else None

    def _check_points(self, system: SystemFolder, tables: _Points | None, output: SystemOutput) -> None:
        asked = self.form.points
        assert asked is not None
        wanted = system.place(f"{system.label}{asked.suffix}")
        if tables is None:
            message = "no folder of operating points: PSDS cannot be computed"
            expected = f"one table for each of {len(asked.thresholds)} thresholds"
            severity = SCORED_WRONGLY if asked.required else NOTE
            self.findings.add("points_missing", wanted, message, expected, severity=severity)
            return
        # Where the year ranks by PSDS, a system without them has no figure.
        severity = SCORED_WRONGLY if asked.required else WARNING
        where, files = tables
        if where != wanted:
            message = f"{len(files)} operating points in another place than their folder: they are not looked for there"
            self.findings.add("points_place", where, message, f"{wanted}/", severity=severity)
        # What is wrong with one table is mostly wrong with all of them.
        together = Findings(self.form)
        points: dict[str, EventTable] = {}
        for name in sorted(files):
            quiet = Findings(self.form)
            table = self._read(name, output, quiet)
            points |= {name: table} if table else {}
            # No detection at a high threshold is right (an empty file is not), and which clips are silent there is
            # nobody's fault.
            silent = ("table_empty", "no_events", "clip_missing") if self.package.size(name) else ()
            together.take(quiet, without=silent)
        self.findings.sum_up(together, where)
        output.points = [point.events for point in points.values()]
        if points and not any(events.n_events for events in output.points):
            message = f"no event in any of {len(points)} tables"
            self.findings.add("no_events", where, message, "the events detected at each threshold")
        check_thresholds(where, sorted(files), asked.thresholds, severity, self.findings)
        check_order(where, points, self.form.labels, severity, self.findings)

    def _check_runs(self, system: SystemFolder, output: SystemOutput) -> None:
        form = self.form.scores
        assert form is not None
        # What is wrong with one table is mostly wrong with all of them, in every folder.
        together = Findings(self.form)
        folders: list[ScoreFolder] = []
        processed: list[ScoreFolder] = []
        for run in range(1, form.runs + 1):
            name = system.label + form.suffix.format(run=run)
            if name in system.folders:
                output.runs[run] = RunScores(self.scored)
                processed.append(self._read_scores(system, name, together, output.runs[run]))
                folders.append(processed[-1])
                output.digest += folders[-1].digest
            else:
                together.add("run_missing", system.place(name), "no scores", f"{form.runs} runs")
            name = system.label + form.unprocessed_suffix.format(run=run)
            if form.unprocessed and name in system.folders:
                folders.append(self._read_scores(system, name, together))
            elif form.unprocessed:
                message, expected = "no unprocessed scores", "scores before post-processing"
                together.add("unprocessed_missing", system.place(name), message, expected)
        raw = [folder for folder in folders if folder not in processed]
        _compare_with_unprocessed(raw, processed, together)
        self.findings.sum_up(together, system.path)
        if self.clips is None:
            _compare_clips(folders, self.findings)
        _compare_runs(processed, self.findings)

    def _read_scores(
        self, system: SystemFolder, name: str, findings: Findings, to_score: RunScores | None = None
    ) -> ScoreFolder:
        where, files = system.place(name), system.folders[name]
        return check_score_folder(where, files, self.package, self.form, self.clips, findings, to_score)


def _folders_of(form: Format) -> Sequence[str]:
    """Return what the names of a system's folders end in, each once."""
    if form.points:
        return [form.points.suffix]
    if form.scores is None:
        return []
    suffixes = [form.scores.suffix] + ([form.scores.unprocessed_suffix] if form.scores.unprocessed else [])
    every = [suffix.format(run=run) for run in range(1, form.scores.runs + 1) for suffix in suffixes]
    return list(dict.fromkeys(every))


def _find_points(system: SystemFolder, form: Format) -> _Points | None:
    """Return where a system's operating points lie, and the tables; None where there are none.

    That is the folder of the right name where it holds tables of thresholds, else whatever holds most of them: another
    folder, inside the system's or not, or the system's folder itself.
    """
    if form.points is None:
        return None
    wanted = system.place(f"{system.label}{form.points.suffix}")
    places = {system.place(folder): files for folder, files in system.folders.items()} | system.astray
    loose = [name for name in system.files if is_point(name) and ".output" not in name]
    if len(loose) > 2:
        places[system.path] = loose
    tables = {place: [name for name in files if _is_table_of_points(name)] for place, files in places.items()}
    counted = {place: sum(map(is_point, files)) for place, files in tables.items()}
    most = max(counted, key=lambda place: counted[place], default="")
    if not counted.get(wanted) and counted.get(most, 0) > 1:
        return most, tables[most]
    return (wanted, tables[wanted]) if tables.get(wanted) else None


def _is_table_of_points(name: str) -> bool:
    return threshold_of(PurePosixPath(name).stem) is not None or name.lower().endswith((".tsv", ".csv"))


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
            findings.add("clips_differ", folder.path, message, "the same clips in every folder of a system")


def _compare_with_unprocessed(before: list[ScoreFolder], after: list[ScoreFolder], findings: Findings) -> None:
    """Warn of scores before post-processing that are those after it, of the same run or another one."""
    for raw in before:
        same = [sum(digest == run.tables.get(clip) for clip, digest in raw.tables.items() if digest) for run in after]
        most = max(same, default=0)
        if raw.tables and most >= _NEARLY_ALL * len(raw.tables):
            message = "the same scores as after post-processing"
            message += f" in {most} of {len(raw.tables)} tables" if most < len(raw.tables) else ""
            findings.add("unprocessed_identical", raw.path, message, "scores before post-processing")


def _compare_runs(folders: list[ScoreFolder], findings: Findings) -> None:
    first: dict[bytes, str] = {}
    for folder in folders:
        if folder.clips and folder.digest in first:
            message = f"the same scores as {PurePosixPath(first[folder.digest]).name}"
            findings.add("runs_identical", folder.path, message, "independent trainings")
        first.setdefault(folder.digest, folder.path)

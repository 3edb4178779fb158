"""What `sedkit pack` takes: experiments, events with a meta file, or scores; each becomes a system to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.experiment_folder import SET_ORDER, ExperimentFolder
from sedkit.core.log import log
from sedkit.postprocessing.rules import Postprocessing
from sedkit.submission.authors import Authors
from sedkit.submission.clip_list import ClipList
from sedkit.submission.energy_tables import EnergyTable, energy_fields, kwh_of_tables, tables_of_experiments
from sedkit.submission.formats import Format
from sedkit.submission.meta.describe import describe_experiments, words_of_rules
from sedkit.submission.meta.write import SystemMeta, meta_of_file, names_of
from sedkit.submission.pack.development import results_of_experiment, results_of_files
from sedkit.submission.pack.outputs import (
    OutputToPack,
    points_of_scores,
    read_output,
    read_output_scores,
    read_points,
)
from sedkit.submission.pack.producer import check_members, producer_of


@dataclass(frozen=True)
class SystemToPack:
    """One system: what the author file calls it, what it hands in, what its meta file says."""

    name: str
    output: OutputToPack
    meta: SystemMeta


@dataclass(frozen=True)
class ScoresInput:
    """One system of score files.

    Attributes
    ----------
    scores, unprocessed
        The files of its runs, and those of the same runs before post-processing.
    members
        The experiments that it is an ensemble of; none for a system made elsewhere.
    submitted
        The set that the scores are of, where the name of their file does not tell.
    meta
        Description of a system made elsewhere.
    postprocessing
        How formats of event tables decode the scores: a file, a preset or a threshold.
    """

    scores: Sequence[str]
    unprocessed: Sequence[str] = ()
    members: Sequence[ExperimentFolder] = ()
    submitted: str | None = None
    meta: str | None = None
    postprocessing: str | None = None


def open_experiments(paths: Sequence[str], development: tuple[str, ...]) -> list[ExperimentFolder]:
    """Open experiments with these development results of theirs; one that is given twice is a slip."""
    places = [Path(path).resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise UsageError(f"--experiment {paths[i]} is given twice; expected each system, run or member once")
    return [ExperimentFolder.open(path, development) for path in paths]


@dataclass(frozen=True)
class Inputs:
    """Makes systems to pack of what is given.

    `results` are results files of the one system, on the development sets, `energy` CodeCarbon's tables by stage, of a
    system made elsewhere.
    """

    form: Format
    authors: Authors
    clips: ClipList | None = None
    results: Sequence[str] = ()
    energy: Mapping[str, EnergyTable] = field(default_factory=dict)

    def of_experiments(self, experiments: Sequence[ExperimentFolder], wanted: str | None) -> list[SystemToPack]:
        """Return one system per experiment; formats of several runs take experiments of one system as its runs.

        Raises UsageError for results files beside several systems: nobody can tell whose they are.
        """
        groups: dict[str, list[ExperimentFolder]] = {}
        for experiment in experiments:
            groups.setdefault(experiment.system if self.form.scores else str(experiment.path), []).append(experiment)
        if self.results and len(groups) > 1:
            raise UsageError(f"--results is that of one system, got {len(groups)}; pack them by calls of their own")
        return [self._of_runs(runs, wanted) for runs in groups.values()]

    def _of_runs(self, runs: Sequence[ExperimentFolder], wanted: str | None) -> SystemToPack:
        """Return the system of an experiment, or of several runs in formats that take them."""
        form, first = self.form, runs[0]
        if form.scores is not None and len(runs) > form.scores.runs:
            raise UsageError(
                f"{len(runs)} experiments of system {first.system}: {form.name} takes {form.scores.runs} runs"
            )
        folder, ending = ("scores", ".h5") if form.scores else ("events", ".tsv")
        names = [run.choose_set(wanted, folder, ending) for run in runs]
        # Size, results and energy are those of the first run.
        rules, energy = _rules_of(first), tables_of_experiments([first], form, names[0])
        if form.scores is None:
            events = read_output(first.path / "events" / f"{names[0]}.tsv", form, self.clips)
            file, points = first.path / "scores" / f"{names[0]}.h5", None
            if form.points is not None and file.is_file():
                points = points_of_scores(read_output_scores([str(file)], form, self.clips)[0], rules, form)
            output = OutputToPack(events, points, energy=energy)
        else:
            from sedkit.postprocessing import processed_scores

            files = [str(run.path / "scores" / f"{name}.h5") for run, name in zip(runs, names, strict=True)]
            raw = read_output_scores(files, form, self.clips)
            of_runs = [(scores, _rules_of(run)) for scores, run in zip(raw, runs, strict=True)]
            processed = [scores if rule is None else processed_scores(scores, rule) for scores, rule in of_runs]
            output = OutputToPack(runs=processed, unprocessed=raw if form.scores.unprocessed else (), energy=energy)
        described = describe_experiments([first], rules, form, names[0])
        return self._system(first.system, output, SystemMeta(described), results_of=first)

    def _system(
        self, name: str, output: OutputToPack, meta: SystemMeta, results_of: ExperimentFolder | None = None
    ) -> SystemToPack:
        """Return a system with its development results, and what the author file states before everything else."""
        development = SystemMeta()
        if self.results:
            development = results_of_files(self.results, self.form)
        elif results_of is not None:
            development = results_of_experiment(results_of, self.form)
        values = {**names_of(name), **meta.values, **development.values, **self.authors.systems.get(name, {})}
        return SystemToPack(name, output, SystemMeta(values, development.remarks, meta.separation))

    def of_events(self, table: str, meta: str | None = None, points: str | None = None) -> SystemToPack:
        """Return a system of an event table and, if given, a meta file and a folder of operating points."""
        form = self.form
        if form.table_suffix is None:
            raise UsageError(f"--system {table}: {form.name} takes scores; give them with --scores")
        if points and form.points is None:
            raise UsageError(f"--system {table}: {form.name} takes no operating points, got {points}")
        events, name = read_output(Path(table), form, self.clips), name_of_file(table)
        output = OutputToPack(events, read_points(points, form) if points else None, energy=self._energy_files())
        return self._system(name, output, self._described_elsewhere(meta, name))

    def of_scores(self, given: ScoresInput) -> SystemToPack:
        """Return a system of one or more score files (runs), described by its members' experiments or a meta file.

        Formats of event tables decode the scores; formats of score folders take them as they are, and those before
        post-processing, one for each run, beside them.
        """
        form = self.form
        _check_use(form, given)
        runs = read_output_scores(given.scores, form, self.clips)
        if given.members:
            check_members(given.scores, [producer_of(run) for run in runs], given.members)
        raw, rules = read_output_scores(given.unprocessed, form, self.clips), None
        name, submitted = name_of_file(given.scores[0]), _submitted(form, given)
        energy = self._energy_files() | tables_of_experiments(given.members, form, submitted)
        if given.postprocessing:
            from sedkit.postprocessing import decode, read_postprocessing

            rules = read_postprocessing(given.postprocessing, runs[0].labels)
            output = OutputToPack(decode(runs[0], rules), points_of_scores(runs[0], rules, form), energy=energy)
        else:
            output = OutputToPack(runs=runs, unprocessed=raw, energy=energy)
        if not given.members:
            return self._system(name, output, self._described_elsewhere(given.meta, name, rules))
        described = describe_experiments(given.members, rules, form, submitted, producer_of(runs[0]))
        alone = given.members[0] if len(given.members) == 1 else None
        return self._system(name, output, SystemMeta(described), results_of=alone)

    def _energy_files(self) -> dict[str, Path]:
        return {stage: table.path for stage, table in self.energy.items()}

    def _described_elsewhere(self, meta: str | None, name: str, rules: Postprocessing | None = None) -> SystemMeta:
        """Read a meta file, and fill in rules and energy; without one what is written is there to be filled in."""
        read = SystemMeta()
        if meta is not None:
            read = meta_of_file(meta, self.form)
        else:
            log.info("%s: no META.yaml: the meta file is a template, to be filled in and given back as META.yaml", name)
        words = {path: x for path, x in words_of_rules(rules).items() if read.values.get(path) is None}
        measured = kwh_of_tables(read.values, self.energy, self.form)
        return SystemMeta({**read.values, **words, **measured}, separation=read.separation)


def _rules_of(experiment: ExperimentFolder) -> Postprocessing | None:
    file = experiment.path / "postprocessing.yaml"
    return Postprocessing.read(file) if file.is_file() else None


def split_entry(entry: str) -> tuple[str, str | None, str | None]:
    """Split `EVENTS[:META.yaml[:POINTS]]`; a path with a colon is taken whole where there is one of that name.

    Raises UsageError for more than three parts, however they are joined to paths that exist.
    """
    parts = entry.split(":")
    n = len(parts)
    for i in range(n, 0, -1):
        for j in range(n, i - 1, -1):
            table, meta, points = ":".join(parts[:i]), ":".join(parts[i:j]), ":".join(parts[j:])
            files = Path(table).is_file() and (not meta or Path(meta).is_file())
            if files and (not points or Path(points).is_dir()):
                return table, meta or None, points or None
    if n > 3:
        raise UsageError(f"--system {entry}: expected EVENTS[:META.yaml[:POINTS]], a table, a file and a folder")
    table, meta, points = (*parts, "", "")[:3]
    return table, meta or None, points or None


def name_of_file(path: str) -> str:
    """Name a system after its table or scores; what is called after a set is named after the folder that it lies in.

    >>> name_of_file("ens/evaluation.h5"), name_of_file("exp/scores/public.h5"), name_of_file("ens/fused.h5")
    ('ens', 'exp', 'fused')
    """
    file = Path(path)
    if file.stem not in SET_ORDER:
        return file.stem
    above = file.resolve().parent
    return (above.parent if above.name in ("scores", "events") else above).name or file.stem


def _check_use(form: Format, given: ScoresInput) -> None:
    """Refuse options that the format has no use for, in one line."""
    runs = form.scores.runs if form.scores else 1
    if len(given.scores) > runs:
        takes = f"{runs} runs" if runs > 1 else "one a system"
        raise UsageError(
            f"{len(given.scores)} score files: {form.name} takes {takes}; pack other systems by calls of their own, "
            "with --label and --add true"
        )
    if form.scores is None and given.postprocessing is None:
        raise UsageError(f"{form.name} takes events: give --postprocessing POST.yaml to decode the scores with")
    if form.scores is not None and given.postprocessing is not None:
        raise UsageError(f"--postprocessing: {form.name} takes scores as they are; expected post-processed ones")
    if given.submitted is not None and not form.energy:
        raise UsageError(
            f"--set {given.submitted}: with --scores it is the set whose energy is stated; {form.name} asks for none"
        )
    if given.unprocessed and not (form.scores and form.scores.unprocessed):
        raise UsageError(f"--unprocessed: {form.name} takes no scores before post-processing")
    if given.unprocessed and len(given.unprocessed) != len(given.scores):
        raise UsageError(
            f"--unprocessed: {len(given.unprocessed)} score files for {len(given.scores)} runs, expected one each"
        )


def _submitted(form: Format, given: ScoresInput) -> str | None:
    """Return the set whose prediction by the members is stated as that of the submitted output."""
    if given.submitted is not None:
        sets = sorted({one for member in given.members for one in member.sets()})
        if given.submitted not in sets:
            hint = suggest(given.submitted, sets)
            raise UsageError(f"--set {given.submitted}: no member predicted it{hint} (there: {listed(sets) or 'none'})")
        return given.submitted
    name = Path(given.scores[0]).stem
    if name in SET_ORDER:
        return name
    if given.members and "evaluation" in energy_fields(form):
        log.warning("the energy of predicting the submitted set is not stated: %s is no set; give --set", name)
    return None

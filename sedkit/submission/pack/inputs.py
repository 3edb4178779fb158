"""What `sedkit pack` takes: experiments, events with a meta file, or scores; each becomes a system to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.experiment_folder import SET_ORDER, ExperimentFolder
from sedkit.core.files import write_text
from sedkit.core.log import log
from sedkit.dataio.events import Events
from sedkit.dataio.tables import events_text, read_strong
from sedkit.evaluation.reading import read_operating_points
from sedkit.postprocessing.rules import Postprocessing, read_postprocessing
from sedkit.submission.check.clips import ClipList
from sedkit.submission.formats import Format
from sedkit.submission.pack.authors import Authors
from sedkit.submission.pack.development import results_of_experiment, results_of_files
from sedkit.submission.pack.energy_tables import EnergyTable, energy_fields, fill_energy, write_energy_tables
from sedkit.submission.pack.meta import (
    SystemMeta,
    abbreviate,
    meta_of_experiments,
    meta_of_file,
    named,
    with_results,
    with_rules,
)
from sedkit.submission.pack.outputs import (
    copy_energy_tables,
    filtered,
    read_output,
    read_output_scores,
    write_points,
    write_runs,
    write_table,
)
from sedkit.submission.pack.producer import check_members
from sedkit.submission.pack.write import SystemInput, Writer


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
    results
        Results files on the development sets.
    energy
        CodeCarbon's tables by stage, of a system made elsewhere.
    """

    scores: Sequence[str]
    unprocessed: Sequence[str] = ()
    members: Sequence[ExperimentFolder] = ()
    submitted: str | None = None
    meta: str | None = None
    postprocessing: str | None = None
    results: Sequence[str] = ()
    energy: Mapping[str, EnergyTable] = field(default_factory=dict)


def open_experiments(paths: Sequence[str], development: str) -> list[ExperimentFolder]:
    """Open experiments with these development results of theirs; one that is given twice is a slip."""
    places = [Path(path).resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise UsageError(f"--experiment {paths[i]} is given twice; expected each system, run or member once")
    return [ExperimentFolder.open(path, development) for path in paths]


def from_experiments(
    form: Format,
    experiments: Sequence[ExperimentFolder],
    authors: Authors,
    wanted: str | None,
    clips: ClipList | None,
    results: Sequence[str] = (),
) -> list[SystemInput]:
    """Return one system per experiment; formats of several runs take experiments of one system as its runs.

    Raises
    ------
    UsageError
        Results files beside several systems: nobody can tell whose they are.
    """
    groups: dict[str, list[ExperimentFolder]] = {}
    for experiment in experiments:
        groups.setdefault(experiment.system if form.scores else str(experiment.path), []).append(experiment)
    if results and len(groups) > 1:
        raise UsageError(f"--results is that of one system, got {len(groups)}; pack them by calls of their own")
    if form.scores is None:
        return [_system_of_events(form, experiment, authors, wanted, clips, results) for experiment in experiments]
    return [_system_of_runs(form, runs, authors, wanted, clips, results) for runs in groups.values()]


def _system_of_events(
    form: Format,
    experiment: ExperimentFolder,
    authors: Authors,
    wanted: str | None,
    clips: ClipList | None,
    results: Sequence[str],
) -> SystemInput:
    name = experiment.choose_set(wanted, "events", ".tsv")
    events = read_output(experiment.path / "events" / f"{name}.tsv", form, clips)
    scores = experiment.path / "scores" / f"{name}.h5"
    rules = _rules_of(experiment)

    def write(folder: Path, label: str) -> None:
        write_table(folder, label, form, events)
        if form.points is not None and scores.is_file():
            write_points(folder, label, form, read_output_scores([str(scores)], form, clips)[0], rules)
        copy_energy_tables(folder, form, experiment, name)

    return _of_experiment(form, experiment, authors, rules, name, write, results)


def _system_of_runs(
    form: Format,
    runs: Sequence[ExperimentFolder],
    authors: Authors,
    wanted: str | None,
    clips: ClipList | None,
    results: Sequence[str],
) -> SystemInput:
    assert form.scores is not None
    if len(runs) > form.scores.runs:
        raise UsageError(
            f"{len(runs)} experiments of system {runs[0].system}: {form.name} takes {form.scores.runs} runs"
        )
    names = [run.choose_set(wanted, "scores", ".h5") for run in runs]
    files = [str(run.path / "scores" / f"{name}.h5") for run, name in zip(runs, names, strict=True)]
    raw = read_output_scores(files, form, clips)
    rules = [_rules_of(run) for run in runs]
    processed = [scores if rule is None else filtered(scores, rule) for scores, rule in zip(raw, rules, strict=True)]
    unprocessed = raw if form.scores.unprocessed else []

    def write(folder: Path, label: str) -> None:
        write_runs(folder, label, form, processed, unprocessed)
        copy_energy_tables(folder, form, runs[0], names[0])

    # Size, results and energy are those of the first run.
    return _of_experiment(form, runs[0], authors, rules[0], names[0], write, results)


def _of_experiment(
    form: Format,
    experiment: ExperimentFolder,
    authors: Authors,
    rules: Postprocessing | None,
    name: str,
    write: Writer,
    results: Sequence[str],
) -> SystemInput:
    described = meta_of_experiments([experiment], experiment.system, rules, form, name)
    figures = results_of_files(results, form) if results else results_of_experiment(experiment, form)
    described = with_results(described, figures)
    return SystemInput(experiment.system, write, named(described, authors.systems.get(experiment.system, {})))


def _rules_of(experiment: ExperimentFolder) -> Postprocessing | None:
    file = experiment.path / "postprocessing.yaml"
    return Postprocessing.read(file) if file.is_file() else None


def split_entry(entry: str) -> tuple[str, str | None, str | None]:
    """Split `EVENTS[:META.yaml[:POINTS]]`; a path with a colon is taken whole where there is one of that name.

    Raises
    ------
    UsageError
        More than three parts, however they are joined to paths that exist.
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


def from_events(
    form: Format,
    table: str,
    authors: Authors,
    meta: str | None,
    clips: ClipList | None,
    points: str | None = None,
    results: Sequence[str] = (),
    energy: Mapping[str, EnergyTable] | None = None,
) -> SystemInput:
    """Return a system of an event table and, if given, a meta file and a folder of operating points made elsewhere.

    `results` and `energy` (by stage) are its results files and CodeCarbon's tables.
    """
    if form.table_suffix is None:
        raise UsageError(f"--system {table}: {form.name} takes scores; give them with --scores")
    if points and form.points is None:
        raise UsageError(f"--system {table}: {form.name} takes no operating points, got {points}")
    events = read_output(Path(table), form, clips)
    tables = _read_points(points, form) if points else {}

    def write(folder: Path, label: str) -> None:
        write_table(folder, label, form, events)
        for name, point in tables.items():
            write_text(folder / f"{label}{form.points.suffix if form.points else ''}" / name, events_text(point))
        write_energy_tables(folder, energy or {})

    name = name_of_file(table)
    described = fill_energy(_described_elsewhere(meta, form, name), energy or {}, form)
    if results:
        described = with_results(described, results_of_files(results, form))
    return SystemInput(name, write, named(described, authors.systems.get(name, {})))


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


def _read_points(folder: str, form: Format) -> dict[str, Events]:
    """Return the tables of operating points by the names of their files, which have to end in their thresholds."""
    files = [Path(table.source) for table in read_operating_points(folder).tables]
    # Scoring forgives rows that must not be handed in.
    return {file.name: read_strong(file, form.labels) for file in files}


def from_scores(form: Format, given: ScoresInput, authors: Authors, clips: ClipList | None) -> SystemInput:
    """Return a system of one or more score files (runs), described by its members' experiments or a meta file.

    Formats of event tables decode the scores; formats of score folders take them as they are, and those before
    post-processing, one for each run, beside them.
    """
    _check_use(form, given)
    runs = read_output_scores(given.scores, form, clips)
    if given.members:
        check_members(given.scores, [run.producer for run in runs], given.members)
    raw = read_output_scores(given.unprocessed, form, clips)
    rules = read_postprocessing(given.postprocessing, runs[0].labels) if given.postprocessing else None
    name = name_of_file(given.scores[0])
    submitted = _submitted(form, given)

    def write(folder: Path, label: str) -> None:
        write_energy_tables(folder, given.energy)
        for i, member in enumerate(given.members, start=1):
            copy_energy_tables(folder, form, member, submitted, f"member{i}_" if len(given.members) > 1 else "")
        if rules is None:
            write_runs(folder, label, form, runs, raw)
            return
        from sedkit.postprocessing import decode

        write_table(folder, label, form, decode(runs[0], rules))
        write_points(folder, label, form, runs[0], rules)

    if given.members:
        described = meta_of_experiments(given.members, name, rules, form, submitted, runs[0].producer)
    else:
        described = with_rules(_described_elsewhere(given.meta, form, name), rules)
        described = fill_energy(described, given.energy, form)
    if given.results:
        described = with_results(described, results_of_files(given.results, form))
    elif len(given.members) == 1:
        described = with_results(described, results_of_experiment(given.members[0], form))
    return SystemInput(name, write, named(described, authors.systems.get(name, {})))


def _described_elsewhere(meta: str | None, form: Format, name: str) -> SystemMeta:
    """Read a meta file; without one nothing is known, and what is written is there to be filled in."""
    if meta is not None:
        return meta_of_file(meta, form, name)
    log.info("%s: no META.yaml: the meta file is a template, to be filled in and given back as META.yaml", name)
    return SystemMeta(name, abbreviate(name))


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

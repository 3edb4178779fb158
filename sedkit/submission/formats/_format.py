"""What a submission format says; one module per year fills it in.

Facts tagged unverified are recollections of the challenge pages that no stored document confirmed: a package that goes
against one of them gets a warning, never a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import DESED_CLASSES, Vocabulary

#: MAESTRO Real's 17 classes, in the order of the 2024 validator (which compares a set, so the order is free).
MAESTRO_CLASSES = Vocabulary.read(metadata_path("classes", "maestro.txt")).labels

COLUMNS = ("filename", "onset", "offset", "event_label")

#: Acoustic features that the validators of 2020 and 2024 know, lower case as they compare them.
KNOWN_FEATURES = ("mfcc", "log-mel energies", "log-mel amplitude", "spectrogram", "cqt", "raw waveform")


@dataclass(frozen=True)
class MetaField:
    """One field of the meta file.

    Attributes
    ----------
    path
        Keys joined by dots; ``*`` stands for every class.
    kind
        ``text``, ``number``, ``integer``, ``percent`` (0 to 100), ``fraction`` (0 to 1), ``features`` (text or list,
        may be null), ``count`` (number from 0, may be null), ``kwh`` (above 0), ``free`` (anything, may be null).
    verified
        Whether a stored validator or template names the field. Unverified ones are written by `pack` and only warned
        about by `check`.
    """

    path: str
    kind: str = "free"
    verified: bool = True


@dataclass(frozen=True)
class PointFolder:
    """A folder with one event table per decision threshold, for PSDS.

    Attributes
    ----------
    suffix
        Folder name after the label.
    thresholds
        Decision thresholds; the file names end in them.
    required
        Whether the year's results are stated in PSDS, which cannot be computed without them.
    """

    suffix: str = ".output_PSDS"
    thresholds: tuple[float, ...] = tuple(round(0.01 + 0.02 * k, 2) for k in range(50))
    required: bool = False


@dataclass(frozen=True)
class ScoreRuns:
    """Folders of per-clip score tables, one folder a training run.

    Attributes
    ----------
    runs
        Independent trainings of one system.
    unprocessed
        Whether scores before post-processing are asked for beside them.
    clips
        Number of evaluation clips, None where unknown.
    suffix, unprocessed_suffix
        Folder names after the label; ``{run}`` is the run's number from 1.
    """

    runs: int = 3
    unprocessed: bool = True
    clips: int | None = None
    suffix: str = "_run{run}.output"
    unprocessed_suffix: str = "_run{run}_unprocessed.output"


@dataclass(frozen=True)
class Format:
    """A year's submission format. Exactly one of `table_suffix` and `scores` is given.

    Attributes
    ----------
    name, year, title
        ``dcase2019``, 2019, and the task's title.
    task_codes
        What stands between institute and number in a label; the first is written by `pack`.
    example_labels
        Labels of the template: a package that still carries one is refused.
    table_suffix
        File name after the label of the event table.
    points, scores
        Operating-point folder; score folders.
    labels
        Classes.
    fields
        The meta file's fields.
    separation
        Those of a sound separation system before the detection: looked at where the meta file has a block `ss_system`.
    overlaps_refused
        Whether the scorer refuses overlapping rows of one class (psds_eval since 0.4 does).
    baseline_refused
        Whether the year's validator is known to refuse the word baseline in a name.
    folders_checked
        Whether the year's script takes every folder at the top for a system: one that is none stops it, and so does one
        that is not named in four parts, as its files are and as its meta file says.
    every_yaml
        Whether the year's script loads every YAML file of every folder at the top.
    energy_mandatory
        Whether the rules demand the energy, at least that of a team's best system.
    longest_clip_s
        No clip of the evaluation sets is known to be longer; an hour where nothing better is known.
    max_systems
        Systems a team may hand in.
    report_pages
        Pages of the technical report: 5 in the rules of 2018 and 2019, (4+1) in those of 2020 and 2023.
    source_code_examples
        Addresses of the organisers' baselines, by the field that must not hold them: not a participant's source code.
    unverified, sources
        What is not confirmed, and where the rest was read; `sedkit check --json` writes both beside the findings.
    """

    name: str
    year: int
    title: str
    task_codes: tuple[str, ...]
    fields: tuple[MetaField, ...]
    separation: tuple[MetaField, ...] = ()
    labels: tuple[str, ...] = DESED_CLASSES.labels
    example_labels: tuple[str, ...] = ()
    table_suffix: str | None = None
    points: PointFolder | None = None
    scores: ScoreRuns | None = None
    overlaps_refused: bool = False
    baseline_refused: bool = False
    folders_checked: bool = False
    every_yaml: bool = False
    energy_mandatory: bool = False
    longest_clip_s: float = 11.0
    max_systems: int = 4
    report_pages: int = 5
    source_code_examples: Mapping[str, str] = field(default_factory=dict)
    unverified: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    label_pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def of_miniature(self) -> Format:
        """Return the format of a package for a miniature, which has another number of clips than the evaluation set."""
        return self if self.scores is None else replace(self, scores=replace(self.scores, clips=None))

    def __post_init__(self) -> None:
        codes = "|".join(re.escape(code) for code in self.task_codes)
        pattern = rf"(?P<base>[A-Za-z][A-Za-z0-9'-]*_[A-Za-z0-9][A-Za-z0-9&.-]*_(?:{codes}))_(?P<number>0|[1-9][0-9]*)"
        object.__setattr__(self, "label_pattern", re.compile(pattern))

    @property
    def kwh(self) -> tuple[str, ...]:
        """The fields of energies in kWh."""
        return tuple(item.path for item in self.fields if item.kind == "kwh")

    @property
    def energy(self) -> bool:
        """Whether energy in kWh is asked for."""
        return bool(self.kwh)

    @property
    def results(self) -> tuple[str, ...]:
        """The fields of results."""
        return tuple(item.path for item in self.fields if item.path.startswith("results."))

    def label(self, lastname: str, institute: str, number: int) -> str:
        """Build a label, for example ``Doe_INST_task4_1``."""
        return f"{lastname}_{institute}_{self.task_codes[0]}_{number}"

    def describe_label(self) -> str:
        """Return the label's shape for messages."""
        tasks = " or ".join(self.task_codes)
        return f"<Lastname>_<INSTITUTE>_{tasks}_<1-{self.max_systems}>"


_GROUPS = read_yaml(metadata_path("submission", "meta_fields.yaml"))


def meta_fields(*groups: str) -> tuple[MetaField, ...]:
    """Return the fields of groups of `metadata/submission/meta_fields.yaml`."""
    return tuple(MetaField(**item) for group in groups for item in _GROUPS[group])

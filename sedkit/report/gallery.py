"""Every figure of runs as a file: of their training, of their sets, of recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.dataio.datadir import DataDir
from sedkit.inference.clips import checkpoint_of
from sedkit.report.figures import file_stems, left_out, write_figures
from sedkit.report.reported import PageOptions, ReportedSet, read_sets
from sedkit.report.runs import RunSubject
from sedkit.report.sets import SystemsSubject
from sedkit.report.subject import Subjects, chosen_clips


class Network(NamedTuple):
    """Which network of an experiment is asked of recordings, and how: as `Subjects` takes it."""

    checkpoint: str = "best"
    network: str | None = None
    device: str = "auto"
    precision: str = "auto"
    window: float | str | None = None
    hop: float | None = None


def write_gallery(
    runs: Sequence[RunSubject],
    given: Sequence[DataDir],
    folder: Path,
    options: PageOptions,
    network: Network | None = None,
) -> None:
    """Write the figures of runs, of their sets and of some recordings of each set.

    Of several runs, those of each stand in a folder of its name, those of all together in `folder` itself.

    Raises
    ------
    SedkitError
        Two figures would have one name; a file that cannot be read.
    """
    sets = read_sets(runs, given, options)
    recordings = {
        one.name: chosen_clips(one.data, options.clips, options.folds) for one in sets if one.data is not None
    }
    file_stems([*(name for names in recordings.values() for name in names), *(one.name for one in sets)])
    lines, counts = Counter[str](), Counter[str]()
    for k, run in enumerate(runs):
        home = folder if len(runs) == 1 else folder / run.name.replace("/", "_")
        # First, since that is what may be refused: other classes, other stems.
        if run.has_network:
            counts["recordings"] += _of_recordings(run, sets, recordings, home, network or Network(), lines)
        else:
            lines[f"no figures of recordings by {run.name}: there is no checkpoint"] += 1
        counts["training"] += len(write_figures(run, home))
        lines.update(left_out(run))
        for system in (one.systems[k] for one in sets):
            if system is not None:
                counts["sets"] += len(write_figures(system, home))
                lines.update(left_out(system))
    for one in sets:
        together = SystemsSubject(one.name, tuple(one.outputs))
        counts["sets"] += len(write_figures(together, folder))
        lines.update([*left_out(together), *one.lacking])
    for line in lines:
        log.info("report: %s", line)
    n_drawn = sum(map(len, recordings.values()))
    log.info(
        "report: %s: figures: %d of %d recordings, %d of sets, %d of training",
        folder,
        counts["recordings"],
        n_drawn,
        counts["sets"],
        counts["training"],
    )


def _of_recordings(
    run: RunSubject,
    sets: Sequence[ReportedSet],
    recordings: Mapping[str, Sequence[str]],
    folder: Path,
    network: Network,
    lines: Counter[str],
) -> int:
    checkpoint, named = checkpoint_of(run.path, network.checkpoint, network.network)
    rules = run.path / "postprocessing.yaml"
    how: dict[str, Any] = {"device": network.device, "precision": network.precision, "network": named}
    written = 0
    for one in sets:
        if one.data is None:
            lines[f"no figures of recordings of {one.name}: its data dir is not known (--data DIR names it)"] += 1
            continue
        subjects = Subjects(
            checkpoint,
            one.data,
            rules if rules.is_file() else None,
            window_s=network.window,
            hop_s=network.hop,
            **how,
        )
        names, lacking = recordings[one.name], Counter[str]()
        for name in progress(names, description="report"):
            subject = subjects.of(name)
            written += len(write_figures(subject, folder))
            lacking.update(left_out(subject))
        for line, n in lacking.items():
            lines[line if n == len(names) else f"{line} ({n} of {len(names)} recordings)"] += 1
    return written

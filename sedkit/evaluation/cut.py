"""The clips and classes that are scored: reference and output cut to them, and their clips called alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.names import stem
from sedkit.dataio.rows import read_table
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.reading import names_as_in
from sedkit.evaluation.recordings import excerpt_of


@dataclass(frozen=True)
class Cut:
    """The clips that `--clips` and `--fold` keep: those of the reference in its order, and all of them."""

    reference: tuple[str, ...]
    names: frozenset[str]


def read_labels(path: str | None, reference: Events | Tags) -> tuple[str, ...] | None:
    """Read the classes of `--labels`, None where none are given."""
    if path is None:
        return None
    from sedkit.core.vocabulary import Vocabulary

    labels = Vocabulary.read(path).labels
    absent = [name for name in labels if name not in reference.labels]
    if absent:
        log.warning(
            "%s: %s occurs nowhere in the reference%s", path, listed(absent), suggest(absent[0], reference.labels)
        )
    if len(absent) == len(labels):
        raise SedkitError(f"{path}: none of its {len(labels)} classes occurs in the reference")
    return labels


def read_cut(clips: str | None, folds: Sequence[str] | None, names: Sequence[str]) -> Cut | None:
    """Read which of the reference's clips (`names`) `--clips` and `--fold` keep; None for all."""
    if clips is None:
        return None
    table = read_table(clips, ("filename",), ("fold",))
    listed_as = tuple(dict.fromkeys(table["filename"]))
    called = dict(zip(listed_as, names_as_in(names, listed_as, clips), strict=True))
    chosen = set(called.values())
    if folds:
        if "fold" not in table:
            raise SedkitError(f"{clips}: has no column fold, which --fold asks for")
        known = set(table["fold"])
        for fold in folds:
            if fold not in known:
                raise UsageError(f"--fold {fold}: not in {clips}{suggest(fold, known)}; it has {listed(sorted(known))}")
        rows = zip(table["filename"], table["fold"], strict=True)
        chosen = {called[name] for name, fold in rows if fold in folds}
    scored = tuple(name for name in names if name in chosen)
    if not scored:
        raise SedkitError(
            f"{clips}: none of its {len(chosen)} clips is in the reference ({names[0] if names else 'empty'!r})"
        )
    return Cut(scored, frozenset(chosen))


def named_as(names: Sequence[str], output: Output, warn: bool = True) -> Output:
    """Call the clips of an output as the reference does: scores by their ids, tables as `names_as_in` has it."""
    warned = not warn

    def renamed(table: Events) -> Events:
        nonlocal warned
        new = names_as_in(names, table.filenames, table.source, not warned)
        warned |= new != table.filenames
        return replace(table, filenames=new)

    output = output.changed(renamed)
    return output if output.scores is None else replace(output, scores=output.scores.named_as(names))


def cut_truth(
    reference: Events | Tags,
    durations: Mapping[str, float] | None,
    classes: Sequence[str] | None,
    keep: Cut | None,
) -> Truth:
    """Return what is scored of a reference, and the durations of those clips and of their recordings."""
    if keep is not None:
        reference = reference.keep_clips(keep.reference)
    # A table may give the durations of the recordings that the clips are excerpts of: these are no clips.
    whole = {excerpt.recording for name in reference.filenames if (excerpt := excerpt_of(name)) is not None}
    whole -= {stem(name) for name in reference.filenames}
    recordings = {name: seconds for name, seconds in (durations or {}).items() if stem(name) in whole}
    if durations is not None:
        scored = durations if keep is None else keep.names
        durations = {n: s for n, s in durations.items() if n in scored and n not in recordings}
    if classes is not None:
        reference = reference.keep_labels([k for k in classes if k in reference.labels])
    if isinstance(reference, Tags):
        return Truth(None, reference, durations, recordings)
    return Truth(reference, tags_of(reference), durations, recordings)


def cut_output(output: Output, classes: Sequence[str] | None, keep: Cut | None) -> Output:
    """Return the tables of an output with what is scored of them; scores are cut by the metrics."""
    if keep is not None:
        output = output.changed(lambda table: table.keep_clips([n for n in table.filenames if n in keep.names]))
    if classes is not None:
        output = output.changed(lambda table: table.keep_labels([k for k in classes if k in table.labels]))
    return output

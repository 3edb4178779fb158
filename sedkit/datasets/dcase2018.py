"""DCASE 2018 task 4: the sets of AudioSet clips that DESED grew out of, as the challenge handed them out.

The places are those of DCASE-REPO/dcase2018_baseline (task4), whose `dataset/` holds `audio/` and `metadata/`; tables
are separated by tabs and end in .csv. The clips of `test` are labelled in three releases (`metadata/references.yaml`);
of the first, 46 are also in `weak`: in July 2018 the organisers put others in their place. The validation set of DESED
is `test` and `eval` in one folder, with a table of each; without these tables all of it is `test`.
"""

from __future__ import annotations

from pathlib import Path

from sedkit.core.log import log
from sedkit.core.registry import NoOptions
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.tables import read_filenames
from sedkit.datasets import desed_places as desed
from sedkit.datasets.base import DataSet, Place, SetLayout, SetOnDisk
from sedkit.datasets.registry import register


def _train(name: str, labelled: bool) -> SetLayout:
    place = Place((f"audio/train/{name}",), (f"metadata/train/{name}",))
    return SetLayout(name, "training", (place,), labelled=labelled)


def _heard(name: str, role: str, *more: Place) -> SetLayout:
    """A set with events: as part of DESED's validation set, and in the challenge's own layout."""
    # In this order, for `eval` is another set in a root of DESED.
    validation = Place(desed.VALIDATION, (f"{desed.META}/{name}_dcase2018",))
    return SetLayout(name, role, (validation, Place((f"audio/{name}",), (f"metadata/{name}/{name}",)), *more))


_TEST = _heard("test", "tuning", Place(desed.VALIDATION, (f"{desed.META}/validation",)))


@register("dcase2018", NoOptions)
class Dcase2018(DataSet):
    """DCASE 2018 task 4; thresholds may be tuned on `test`, for figures of `eval` alone."""

    title, holds, classes, clip_s = "DCASE 2018 task 4", ("audio/", "metadata/"), DESED_CLASSES, 10.0
    roots = ("", "dcase2018", "dcase2018/dataset", "task4/dataset", "dcase2018_baseline/task4/dataset", *desed.ROOTS)
    # `test` stands first: a weak clip of a video that it holds goes to the part where it is, and is not trained on.
    sets = (
        _TEST,
        _train("weak", labelled=True),
        _train("unlabel_in_domain", labelled=False),
        _train("unlabel_out_of_domain", labelled=False),
        _heard("eval", "reported"),
    )

    def sources(self, root: Path) -> list[SetOnDisk]:
        """Return the sets; of a validation set that is not divided `test` alone."""
        sources = {s.name: s for s in super().sources(root)}
        if sources["eval"].folders == sources["test"].folders and not sources["eval"].tables:
            del sources["eval"]
        return list(sources.values())

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read a set; weak clips that `test` lists too are left out, so that its figures stand."""
        super().read(root, s, lenient, labels)
        if s.name != "weak":
            return
        tables = self._source(root, _TEST).tables
        tested = {name for table in tables for name in read_filenames(table)}
        kept = tuple(name for name in s.filenames if name not in tested)
        if len(kept) < len(s.filenames):
            log.info("weak: %d clips left out, which test lists too", len(s.filenames) - len(kept))
            s.filenames, s.weak = kept, s.weak.keep_clips(kept) if s.weak is not None else None

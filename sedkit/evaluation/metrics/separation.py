"""Separation: how well masks take the sounds of mixtures apart, by BSS-eval v3 (`sedkit.evaluation.bss`).

Each class of a mixture is one source, all its events together, and the scene another. A class is separated by its mask
or by an ideal one, made from the sources' own spectrograms. The scene's estimate would be what is left of the mixture;
it enters no other figure, so figures are of classes only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.options import option
from sedkit.core.parallel import progress
from sedkit.evaluation.bss import FIGURES, References
from sedkit.evaluation.counts import Rates, Undefined, as_json
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.parameters import MaskParameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sedkit.features.separation import Separator

#: What stands in for a source: what its mask leaves of the mixture, what ideal masks leave, the mixture itself.
ESTIMATES = ("masks", "ibm", "irm", "mixture")
NAMES = (*FIGURES, "sdr_improvement")
#: One of 10 s at 32 kHz with three classes takes a quarter of a second on one core and what the network takes.
MOST_CLIPS = 20


@dataclass(frozen=True)
class SeparationParameters(MaskParameters):
    """How sounds are separated and judged; where `clips` is None, figures are of `MOST_CLIPS`.

    `threshold`: a class is tagged where its clip score is above it; 0.1 is published. `taps`: of the filter by which
    an estimate may differ from its source.
    """

    threshold: float = option(
        0.1, "--separation-threshold", "separation: classes with a clip score above it are tagged (0.1)", metavar="T"
    )
    taps: int = option(
        512,
        "--filter-taps",
        "separation: of the filter by which a sound may differ from its reference (512)",
        within=(1, 8192),
        whole=True,
        metavar="N",
    )


@dataclass(frozen=True)
class Separated:
    """What became of the sources of some mixtures.

    Attributes
    ----------
    filenames, labels
        Mixtures and classes.
    figures
        (estimates, mixtures, classes, 3) dB, `ESTIMATES` by `FIGURES`; NaN where a class is absent or undefined.
    present, tagged
        (mixtures, classes) bool: which sound, and whose clip scores are above the threshold.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    figures: NDArray[np.float64]
    present: NDArray[np.bool_]
    tagged: NDArray[np.bool_]

    @property
    def undefined(self) -> int:
        """Return how many sources have no SDR, because they or their estimates are silent."""
        return int((self.present & np.isnan(self.figures[0, ..., 0])).sum())

    def rates(
        self, estimate: str, of: NDArray[np.bool_] | None = None, weights: NDArray[np.floating] | None = None
    ) -> Rates:
        """Return the means of the figures `NAMES` of one kind of estimate (`ESTIMATES`).

        `of` are the sources that count, (mixtures, classes), None: all; `weights` say how often each mixture counts,
        (..., mixtures), None: once.
        """
        rows = self.figures[ESTIMATES.index(estimate)]
        values = np.concatenate([rows, rows[..., :1] - self.figures[ESTIMATES.index("mixture"), ..., :1]], axis=2)
        defined = ~np.isnan(values) & (self.present if of is None else self.present & of)[..., None]
        weights = np.ones(len(rows)) if weights is None else weights
        n, sums = (np.tensordot(weights, x, axes=1) for x in (defined.astype(np.float64), np.where(defined, values, 0)))
        with np.errstate(divide="ignore", invalid="ignore"):
            classes = {name: (sums / n)[..., i] for i, name in enumerate(NAMES)}
            micro = {name: (sums.sum(axis=-2) / n.sum(axis=-2))[..., i] for i, name in enumerate(NAMES)}
        return Rates(classes, micro, {"n": n[..., 0]})


def _ideal(
    separator: Separator, mixture: NDArray[np.float32], sources: NDArray[np.float32], n: int
) -> list[NDArray[np.float32]]:
    """Return what the ideal masks of the first `n` sources leave of a mixture: the binary and the ratio mask.

    With magnitudes |S_j| of the sources, the binary mask is 1 where |S_k| > |X - S_k|, the ratio |S_k| / sum_j |S_j|.
    """
    whole = separator.spectrogram(mixture)
    spectra = np.stack([separator.spectrogram(source) for source in sources])
    binary = (np.abs(spectra[:n]) > np.abs(whole - spectra[:n])).astype(np.float32)
    size = np.abs(spectra)
    ratio = size[:n] / (size.sum(axis=0) + np.finfo(np.float32).eps)
    return [separator.filtered(mixture, mask) for mask in (binary, ratio)]


@register("separation", SeparationParameters)
class Separation(Metric):
    """SDR, SIR, SAR and the SDR's improvement over the mixture; no judge of record runs."""

    block, title, column = "separation", "separation", "SDR"
    place = 10
    primary = "sdr"
    reads = "masks"
    from_tags = True
    lacks = ""
    bounds = (-np.inf, np.inf)
    # A mask of ones gives the mixture, which has a row; silence has no SDR.
    constants = False

    def count(self, work: Work) -> Separated:
        """Separate mixtures and judge what came of it, one in memory at a time.

        Classes that are not scored but sound are sources all the same, as the scene is.
        """
        from sedkit.features.separation import Separator

        masks, mixtures, labels = work.given("masks"), work.truth.mixtures, work.truth.tags.labels
        assert mixtures is not None
        parameters = replace(self.parameters, clips=self.parameters.clips or MOST_CLIPS)
        filenames, separator = parameters.chosen(work.truth.tags.filenames), Separator(masks.frontend)
        shape = (len(filenames), len(labels))
        figures = np.full((len(ESTIMATES), *shape, len(FIGURES)), np.nan)
        present, tagged = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        # A class that the masks do not know is never tagged, and its estimate is silent.
        known = [(k, masks.labels.index(label)) for k, label in enumerate(labels) if label in masks.labels]
        for i, name in enumerate(progress(filenames, description="separate", unit="mixture")):
            mixture, stems = mixtures.mixture(name), mixtures.stems(name)
            clipwise, of_network = masks.of(mixture)
            every = np.zeros((len(labels), *of_network.shape[1:]), dtype=np.float32)
            for k, column in known:
                every[k], tagged[i, k] = of_network[column], clipwise[column] > parameters.threshold
            classes = [k for k, label in enumerate(labels) if label in stems]
            present[i, classes] = True
            n, others = len(classes), [x for label, x in stems.items() if label not in labels]
            sources = np.stack([*(stems[labels[k]] for k in classes), *others])
            of_ideal = _ideal(separator, mixture, sources, n)
            estimates = np.concatenate([separator.separate(mixture, every[classes]), *of_ideal, mixture[None]])
            # The mixture itself comes last and stands for each source.
            rows = np.arange(len(ESTIMATES) * n)
            of = References.of(sources, parameters.taps).figures(
                estimates, rows % max(n, 1), np.minimum(rows, len(estimates) - 1)
            )
            figures[:, i, classes] = of.reshape(len(ESTIMATES), n, len(FIGURES))
        return Separated(filenames, labels, figures, present, tagged)

    def figures(self, counts: Separated, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the figures of the classes that sound, separated by their masks.

        An undefined figure stays undefined whatever `undefined` says: 0 dB is no worst case.
        """
        return counts.rates("masks", weights=weights)

    def remarks(self, block: Mapping[str, Any]) -> list[str]:
        """Return of how many mixtures the figures are, and the SDR over all sources of the other rows."""
        tags, oracles = block["predicted_tags"], block["oracles"]
        found = f"{tags['hits']} hits, {tags['misses']} misses, {tags['false_alarms']} false alarms"
        rows = {f"predicted tags ({found})": tags, "ideal binary mask": oracles["ibm"]}
        rows |= {"ideal ratio mask": oracles["irm"], "mixture as it is": block["mixture"]}
        shown = ((name, row["micro"]["sdr"]) for name, row in rows.items())
        said = [f"SDR of the {name}: {'undefined' if sdr is None else f'{sdr:.2f}'}" for name, sdr in shown]
        return [f"of {block['clips']} mixtures (--mask-clips)", *said]

    def as_block(self, counts: Separated, figures: Rates) -> dict[str, Any]:
        """Return figures of the classes that sound, of those that are tagged, of ideal masks and no separation."""
        hits, present = counts.tagged & counts.present, counts.present

        def row(estimate: str, of: NDArray[np.bool_] | None = None) -> dict[str, Any]:
            return as_json(counts, counts.rates(estimate, of))

        oracle = row("masks")
        tagged = {
            "hits": int(hits.sum()),
            "misses": int((present & ~hits).sum()),
            "false_alarms": int((counts.tagged & ~present).sum()),
        }
        return {
            **self.shown(counts),
            **{name: oracle["micro"][name] for name in NAMES},
            **oracle,
            "oracle_tags": {place: oracle[place] for place in ("macro", "micro")},
            "predicted_tags": row("masks", hits) | tagged,
            "mixture": row("mixture"),
            "oracles": {name: row(name) for name in ("ibm", "irm")},
            "clips": len(counts.filenames),
            "undefined": counts.undefined,
        }

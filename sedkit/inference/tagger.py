"""An experiment of weights that others published: a checkpoint and rules, for `detect` as it is."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, NamedTuple

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import read_text, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends import frontend_from
from sedkit.features.normalise import Normalisation
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.sizes import TAGGERS
from sedkit.models.weights import load_pretrained, read_tensors, state_dict_of
from sedkit.postprocessing import read_postprocessing

#: Seconds of the windows that recordings are cut into; the networks were trained on clips of this length.
WINDOW_S = 10.0
#: Columns of AudioSet's list of classes.
_COLUMNS = ("index", "mid", "display_name")


class Classes(NamedTuple):
    """The classes of a network in the order of its outputs, and their ids in AudioSet where they are known."""

    names: Vocabulary
    ids: tuple[str, ...] | None = None

    def ordered(self, ids: list[str], source: object) -> Vocabulary:
        """Return the names in the order of ids."""
        if self.ids is None:
            raise UsageError(
                f"--classes: {source} orders its classes by their ids in AudioSet, expected class_labels_indices.csv"
            )
        strangers = [one for one in ids if one not in self.ids]
        if strangers:
            raise SedkitError(f"{source}: has classes that --classes lacks ({listed(strangers, 3)})")
        return Vocabulary(tuple(self.names.labels[self.ids.index(one)] for one in ids))


def read_classes(path: str | os.PathLike[str]) -> Classes:
    """Read AudioSet's `class_labels_indices.csv` (index, mid, display_name), or one name a line.

    Raises
    ------
    SedkitError
        No such file, a row without three columns, or rows that are not in the order of their indices.
    """
    text = read_text(path)
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != _COLUMNS:
        return Classes(Vocabulary.read(path))
    names, ids = [], []
    for place, row in enumerate(rows[1:]):
        if len(row) != len(_COLUMNS) or row[0] != str(place):
            raise SedkitError(
                f"{path}:{place + 2}: {','.join(row)[:60]!r}, expected index {place}, mid and display_name"
            )
        ids.append(row[1])
        names.append(row[2].strip())
    try:
        return Classes(Vocabulary(tuple(names)), tuple(ids))
    except SedkitError as error:
        raise SedkitError(f"{path}: {error}") from None


def write_tagger(
    folder: Path,
    weights: str | os.PathLike[str],
    network: str,
    classes: Classes,
    rules: str,
    options: dict[str, Any] | None = None,
) -> Vocabulary:
    """Make an experiment folder of a published tagger: checkpoint, post-processing and configuration.

    Parameters
    ----------
    folder
        To make.
    weights
        The published file.
    network
        One of `sedkit.models.sizes.TAGGERS`.
    classes
        In the order of the network's outputs; where the file says an order of ids (`label_dict`), in that.
    rules
        What `read_postprocessing` takes: a threshold, a preset, or a file.
    options
        Of the network, where it is not of the published size.

    Returns
    -------
    The classes in the order of the network's outputs.

    Raises
    ------
    UsageError
        Another network.
    SedkitError
        Weights of another network, or for another number of classes.
    """
    if network not in TAGGERS:
        raise UsageError(f"--network {network}{suggest(network, TAGGERS)}: expected one of {listed(TAGGERS, 20)}")
    tagger = TAGGERS[network]
    frontend = frontend_from(tagger.frontend)
    order = read_tensors(weights).get("label_dict")
    labels = classes.names
    if isinstance(order, dict):
        ids = {int(place): str(one) for place, one in order.items()}
        labels = classes.ordered([ids[place] for place in sorted(ids)], weights)
    postprocessing = read_postprocessing(rules, labels.labels)
    _check_file(weights, network, len(labels))
    model = resolve_model(tagger.model | (options or {}))
    built = build_model(model, len(labels), frontend.n_bins)
    digest = load_pretrained(built, weights)
    normalise = Normalisation.from_section(tagger.normalise, frontend.n_bins)
    config = {
        "system": network,
        "frontend": frontend.as_dict(),
        "normalise": normalise.resolved(),
        "model": model,
        "training": {"weights": str(Path(weights).resolve())},
    }
    checkpoint = Checkpoint(
        model=model,
        labels=labels,
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        window=frontend.grid.n_frames(WINDOW_S),
        normalise=normalise.resolved(),
        fitted=normalise.state_dict(),
        networks={"network": built.state_dict()},
        run={"system": network, "weights": f"sha256:{digest}"},
        config=config,
    )
    write_yaml(folder / "config.yaml", config)
    postprocessing.write(folder / "postprocessing.yaml")
    write_checkpoint(folder / "checkpoints" / "best.pt", checkpoint)
    return labels


def _check_file(weights: str | os.PathLike[str], network: str, n_classes: int) -> None:
    """Refuse a file whose classifier, or whose tables of the transform, are of another network."""
    state = state_dict_of(weights)
    n_fft = TAGGERS[network].frontend.get("n_fft")
    tables = [v.shape[-1] for name, v in state.items() if name.endswith("stft.conv_real.weight")]
    if tables and tables[0] != n_fft:
        others = [name for name, tagger in TAGGERS.items() if tagger.frontend.get("n_fft") == tables[0]]
        raise SedkitError(
            f"{weights}: reads windows of {tables[0]} samples, expected a file of {network}; it may be of "
            f"{listed(others) or 'none of the networks here'}"
        )
    expected = TAGGERS[network].classifier
    heads = tuple({tagger.classifier for tagger in TAGGERS.values()})
    for name, bias in ((name, value) for name, value in state.items() if name.endswith(heads)):
        if not name.endswith(expected):
            raise SedkitError(f"{weights}: has a classifier {name}, expected {expected} as {network} has it")
        if len(bias) != n_classes:
            raise SedkitError(f"{weights}: {name} is of {len(bias)} classes, expected the {n_classes} of --classes")

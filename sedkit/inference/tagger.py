"""An experiment of weights that others published: a checkpoint and rules, for `detect` as it is."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import read_text, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends import frontend_from
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.sizes import PANNS
from sedkit.models.weights import load_pretrained, state_dict_of
from sedkit.postprocessing import read_postprocessing

#: Seconds of the windows that recordings are cut into; the networks were trained on clips of this length.
WINDOW_S = 10.0
#: Columns of AudioSet's list of classes.
_COLUMNS = ("index", "mid", "display_name")


def read_classes(path: str | os.PathLike[str]) -> Vocabulary:
    """Read AudioSet's `class_labels_indices.csv` (index, mid, display_name), or one name a line.

    Raises
    ------
    SedkitError
        No such file, a row without three columns, or rows that are not in the order of their indices.
    """
    text = read_text(path)
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != _COLUMNS:
        return Vocabulary.read(path)
    names = []
    for place, row in enumerate(rows[1:]):
        if len(row) != len(_COLUMNS) or row[0] != str(place):
            raise SedkitError(
                f"{path}:{place + 2}: {','.join(row)[:60]!r}, expected index {place}, mid and display_name"
            )
        names.append(row[2].strip())
    try:
        return Vocabulary(tuple(names))
    except SedkitError as error:
        raise SedkitError(f"{path}: {error}") from None


def write_tagger(
    folder: Path,
    weights: str | os.PathLike[str],
    network: str,
    classes: Vocabulary,
    rules: str,
    options: dict[str, Any] | None = None,
) -> None:
    """Make an experiment folder of a published tagger: checkpoint, post-processing and configuration.

    Parameters
    ----------
    folder
        To make.
    weights
        The published file.
    network
        One of `sedkit.models.sizes.PANNS`.
    classes
        In the order of the network's outputs.
    rules
        What `read_postprocessing` takes: a threshold, a preset, or a file.
    options
        Of the network, where it is not of the published size.

    Raises
    ------
    UsageError
        Another network.
    SedkitError
        Weights of another network, or for another number of classes.
    """
    if network not in PANNS:
        raise UsageError(f"--network {network}{suggest(network, PANNS)}: expected one of {listed(PANNS, 10)}")
    pann = PANNS[network]
    frontend = frontend_from(pann.frontend)
    postprocessing = read_postprocessing(rules, classes.labels)
    _check_file(weights, network, len(classes))
    model = resolve_model({"name": pann.model} | (options or {}))
    built = build_model(model, len(classes), frontend.n_bins)
    digest = load_pretrained(built, weights)
    config = {
        "system": network,
        "frontend": frontend.as_dict(),
        "model": model,
        "training": {"weights": str(Path(weights).resolve())},
    }
    checkpoint = Checkpoint(
        model=model,
        labels=classes,
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        window=frontend.grid.n_frames(WINDOW_S),
        normalise={},
        fitted={},
        networks={"network": built.state_dict()},
        run={"system": network, "weights": f"sha256:{digest}"},
        config=config,
    )
    write_yaml(folder / "config.yaml", config)
    postprocessing.write(folder / "postprocessing.yaml")
    write_checkpoint(folder / "checkpoints" / "best.pt", checkpoint)


def _check_file(weights: str | os.PathLike[str], network: str, n_classes: int) -> None:
    """Refuse a file whose classifier, or whose tables of the transform, are of another network."""
    state = state_dict_of(weights)
    tables = [v.shape[-1] for name, v in state.items() if name.endswith("stft.conv_real.weight")]
    n_fft = PANNS[network].frontend["n_fft"]
    if tables and tables[0] != n_fft:
        others = [name for name, pann in PANNS.items() if pann.frontend["n_fft"] == tables[0]]
        raise SedkitError(
            f"{weights}: reads windows of {tables[0]} samples, expected {n_fft} as {network}; it may be "
            f"{listed(others) or 'none of the networks here'}"
        )
    attention = PANNS[network].model.endswith("_att")
    heads = {name: v for name, v in state.items() if name.endswith(("fc_audioset.bias", "att_block.cla.bias"))}
    for name, bias in heads.items():
        if ("att_block" in name) != attention:
            raise SedkitError(f"{weights}: has a classifier {name}, expected that of {network}; name its own network")
        if len(bias) != n_classes:
            raise SedkitError(f"{weights}: {name} is of {len(bias)} classes, expected the {n_classes} of --classes")

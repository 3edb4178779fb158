"""Checkpoints: everything needed to rebuild a network or go on training, as tensors and plain data only."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

import sedkit
from sedkit.core.errors import SedkitError, first_line, listed, suggest
from sedkit.core.files import atomic_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends import frontend_from
from sedkit.features.normalise import Normalisation
from sedkit.models.output import SedModel
from sedkit.models.registry import build_model
from sedkit.models.weights import check_state, read_tensors

FORMAT = 2
_ADVICE = "fetch it again, or train again with --force true"
#: What a checkpoint holds.
_CONTENT = {
    "model": dict,
    "labels": list,
    "frontend": dict,
    "frontend_hash": str,
    "window": int,
    "normalise": dict,
    "fitted": dict,
    "networks": dict,
    "selected": str,
    "step": int,
    "run": dict,
    "config": dict,
    "training": dict,
}
#: What it may hold.
_OPTIONAL = ("postprocessing", "embeddings")


@dataclass
class Checkpoint:
    """A network with all that its scores depend on.

    Attributes
    ----------
    model
        The resolved `model` section.
    labels
        Class order of the output.
    frontend, frontend_hash
        The front end's name and parameters, and its hash.
    window
        Frames of the windows that it was trained on, on the front end's window grid.
    normalise, fitted
        The resolved section of that name, and what its stages found on the training clips.
    networks
        Name -> state dict of each network that the objective keeps; `selected` names the one to use.
    selected
        See `networks`.
    step
        Training steps done.
    run
        What a result has to say about its origin: recipe, system, seed, trained_on.
    config
        The resolved configuration of the run.
    training
        State needed to go on: optimiser, objective, random generators, best figure (empty for a network alone).
    postprocessing
        Rules of its classes as a file of rules has them; empty where they are not in the checkpoint.
    embeddings
        Name -> front end of each of the further features that the network takes.
    source
        The file that it was read from, for messages.
    """

    model: dict[str, Any]
    labels: Vocabulary
    frontend: dict[str, Any]
    frontend_hash: str
    window: int
    normalise: dict[str, Any]
    fitted: dict[str, Any]
    networks: dict[str, dict[str, Any]]
    selected: str = "network"
    step: int = 0
    run: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    postprocessing: dict[str, Any] = field(default_factory=dict)
    embeddings: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: str = "the checkpoint"

    def network(self, name: str | None = None) -> SedModel:
        """Rebuild a network in evaluation mode; None takes the selected one.

        Raises
        ------
        SedkitError
            The checkpoint holds no network of that name, or one with other tensors than its `model` section says.
        """
        name = self.selected if name is None else name
        if name not in self.networks:
            raise SedkitError(
                f"no network {name!r}{suggest(name, self.networks)} in {self.source}, it has {listed(self.networks)}"
            )
        with self.refusals():
            network = build_model(self.model, len(self.labels), frontend_from(self.frontend).n_bins)
        check_state(network, self.networks[name], f"{self.source}: network {name!r}")
        network.load_state_dict(self.networks[name])
        return network.eval()

    def alone(self, network: str | None, postprocessing: dict[str, Any]) -> Checkpoint:
        """Return one network with rules, without what only training needs.

        Parameters
        ----------
        network
            Its name; None takes the selected one.
        postprocessing
            Rules of its classes, as a file of rules has them.
        """
        name = self.selected if network is None else network
        self.network(name)  # that it can be rebuilt
        run = self.run | ({"network": name} if len(self.networks) > 1 else {})
        networks = {name: self.networks[name]}
        return replace(self, networks=networks, selected=name, run=run, training={}, postprocessing=postprocessing)

    def normalisation(self) -> Normalisation:
        """Rebuild the normalisation with its fitted state."""
        with self.refusals():
            normalise = Normalisation.from_section(self.normalise, frontend_from(self.frontend).n_bins)
            normalise.load_state_dict(self.fitted)
        return normalise

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Say of what cannot be built from the checkpoint's sections that the file is at fault, and what to do."""
        try:
            yield
        except (SedkitError, TypeError, ValueError) as error:
            raise SedkitError(f"{self.source}: cannot be rebuilt ({first_line(error)}); {_ADVICE}") from None


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all."""
    content = {key: getattr(checkpoint, key) for key in _CONTENT} | {"labels": list(checkpoint.labels)}
    content |= {key: value for key in _OPTIONAL if (value := getattr(checkpoint, key))}
    content |= {"format": FORMAT, "version": sedkit.__version__}
    # Torch's own writer says of a full disk that an assertion failed.
    data = io.BytesIO()
    torch.save(content, data)
    with atomic_path(path) as aside:
        aside.write_bytes(data.getbuffer())


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint onto the CPU; nothing in it is executed.

    Raises
    ------
    SedkitError
        No such file, or not a checkpoint of this format.
    """
    content = read_tensors(path, _ADVICE)
    layout = content.get("format")
    if not isinstance(layout, int) or layout != FORMAT:
        shown = repr(layout) if layout is None or isinstance(layout, int) else f"a {type(layout).__name__}"
        raise SedkitError(
            f"{path}: checkpoint format {shown}, expected {FORMAT} (written by `sedkit train`); {_ADVICE}"
        )
    absent = [key for key, kind in _CONTENT.items() if not isinstance(content.get(key), kind)]
    absent += [key for key in _OPTIONAL if not isinstance(content.get(key, {}), dict)]
    networks = content.get("networks")
    if not absent and not all(isinstance(state, dict) for state in networks.values()):
        absent = ["networks"]
    if absent:
        raise SedkitError(f"{path}: a checkpoint without a usable {listed(absent)}; {_ADVICE}")
    try:
        checkpoint = Checkpoint(
            **{key: content[key] for key in (*_CONTENT, *_OPTIONAL) if key in content and key != "labels"},
            labels=Vocabulary(tuple(content["labels"])),
            source=str(path),
        )
        checkpoint.normalisation()
        if checkpoint.window < 1:
            raise ValueError("a window without frames")
    except (SedkitError, TypeError, ValueError, AttributeError):
        raise SedkitError(
            f"{path}: a checkpoint whose labels, window or normalisation cannot be used; {_ADVICE}"
        ) from None
    return checkpoint

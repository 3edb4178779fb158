"""Who made scores, as they say themselves, and whether these are the experiments that describe them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sedkit.core.errors import UsageError
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.log import log

#: What `sedkit fuse` writes as the producer of its scores; a part may be an ensemble itself.
_ENSEMBLE = re.compile(r"ensemble of (\d+): ")
_WEIGHT = re.compile(r"([0-9][0-9.]*(?:e[+-]?[0-9]+)?) x ")
_NEXT = re.compile(r" \+ (?=[0-9][0-9.]*(?:e[+-]?[0-9]+)? x )")

_HASH = "sha256:"

#: Weights of `sedkit fuse` have four digits.
_SAME_WEIGHT = 1e-3


@dataclass(frozen=True)
class Producer:
    """Who made scores.

    Attributes
    ----------
    parts
        Networks, or whatever their scores call them, with their weights: one, or the members of an ensemble.
    count
        How many there are; more than `parts` where the text is none of `sedkit fuse`'s.
    fused
        Whether the scores are an ensemble's.
    nested
        Whether a member was an ensemble: its own members are the parts.
    """

    parts: tuple[tuple[str, float], ...]
    count: int = 1
    fused: bool = False
    nested: bool = False

    @property
    def known(self) -> bool:
        """Whether all of them are checkpoints."""
        return len(self.parts) == self.count and all(name.startswith(_HASH) for name, _ in self.parts)

    def weights_of(self, members: Sequence[ExperimentFolder]) -> list[float | None]:
        """Return the weight of each member, found by its checkpoints; None where it took no part."""
        weight = dict(self.parts)
        return [next((weight[name] for name in weight if _made_by(member, name)), None) for member in members]


def _made_by(member: ExperimentFolder, name: str) -> bool:
    """Tell whether scores name a checkpoint of an experiment, and the network that the experiment is of."""
    digest, _, network = name.removeprefix(_HASH).partition("@")
    return digest in member.checkpoint_hashes and member.network in (None, network)


def read_producer(text: str) -> Producer:
    """Read what scores say of who made them.

    >>> read_producer("ensemble of 2: 0.75 x sha256:ab + 0.25 x net.h5, post-processed").parts
    (('sha256:ab', 0.75), ('net.h5', 0.25))
    """
    parts, _, nested = _read(text, 1.0)
    head = _ENSEMBLE.match(text)
    return Producer(tuple(parts), max(len(parts), int(head[1])) if head else 1, head is not None, nested)


def _read(text: str, share: float) -> tuple[list[tuple[str, float]], str, bool]:
    """Read one part, or one ensemble's parts; return the text behind it, and whether an ensemble is in an ensemble."""
    head = _ENSEMBLE.match(text)
    if head is None:
        end = _NEXT.search(text)
        name, behind = (text[: end.start()], text[end.end() :]) if end else (text, "")
        # Behind the comma stands what was done to the scores.
        return [(name.partition(",")[0], share)], behind, False
    parts: list[tuple[str, float]] = []
    rest, nested = text[head.end() :], False
    for _ in range(int(head[1])):
        weight = _WEIGHT.match(rest)
        if weight is None:
            break
        rest = rest[weight.end() :]
        inner = _ENSEMBLE.match(rest) is not None
        members, rest, deeper = _read(rest, share * float(weight[1]))
        parts += members
        nested = nested or inner or deeper
    return parts, rest, nested


def decision_of(producer: Producer, members: Sequence[ExperimentFolder]) -> str | None:
    """Say how scores were fused, None where whoever fused them does not tell."""
    if not producer.fused:
        return None
    if producer.nested or len(producer.parts) != producer.count:
        return "weighted mean of scores"
    weights = producer.weights_of(members)
    # In the order of the members, where all of them are known by their checkpoints.
    told = [weight for weight in weights if weight is not None]
    shown = told if len(told) == len(members) == len(producer.parts) else [weight for _, weight in producer.parts]
    if max(shown) - min(shown) <= _SAME_WEIGHT:
        return "mean of scores"
    return f"weighted mean of scores ({', '.join(f'{weight:g}' for weight in shown)})"


def check_members(paths: Sequence[str], texts: Sequence[str], members: Sequence[ExperimentFolder]) -> None:
    """Compare scores with the experiments that are to describe them; what does not fit is one warning each.

    Parameters
    ----------
    paths, texts
        The score files of a system's runs, and who made them, as they say themselves. Of several runs, the first is
        the one that is described.
    members
        The experiments, one or more.

    Raises
    ------
    UsageError
        The scores are an ensemble of more systems than are named: every size would be too small.
    """
    producers = [read_producer(text) for text in texts]
    named = len(members)
    for path, producer in zip(paths, producers, strict=True):
        count = producer.count
        if producer.fused and count > named:
            raise UsageError(
                f"{path}: an ensemble of {count}, but --experiment names {named}: {count - named} missing; name every "
                "member, or describe the system with --meta instead"
            )
        summed = f"size and energy are summed over all {named}"
        if producer.fused and count < named:
            log.warning("%s: an ensemble of %d, but --experiment names %d: %s", path, count, named, summed)
        elif not producer.fused and producer.known and named > 1:
            log.warning("%s: not an ensemble, but --experiment names %d: %s", path, named, summed)
    first = producers[0]
    without = next((member.path for member in members if not member.checkpoint_hashes), None)
    if first.known and not first.fused and named > 1:
        return
    if not first.known or without is not None:
        why = f"{without} has no checkpoints" if first.known else "the scores do not name the checkpoints"
        log.warning("%s: whether --experiment names what made the scores cannot be told: %s", paths[0], why)
        return
    for member, weight in zip(members, first.weights_of(members), strict=True):
        if weight is None:
            log.warning("%s: %s was made by none of its checkpoints", member.path, paths[0])

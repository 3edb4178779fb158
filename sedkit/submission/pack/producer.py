"""Who made scores, as they say themselves, and whether these are the experiments that describe them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sedkit.core.errors import UsageError
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.log import log
from sedkit.dataio.scores import Member, Scores

_HASH = "sha256:"

#: Weights that are stated with four digits.
_SAME_WEIGHT = 1e-3


@dataclass(frozen=True)
class Producer:
    """Who made scores.

    `parts` are networks, or whatever their scores call them, with their weights: one, or the members of an ensemble
    (`fused`). Of a member that was an ensemble (`nested`) its own members are the parts.
    """

    parts: tuple[tuple[str, float], ...]
    fused: bool = False
    nested: bool = False

    @property
    def known(self) -> bool:
        """Whether all of them are checkpoints."""
        return all(name.startswith(_HASH) for name, _ in self.parts)

    def weights_of(self, members: Sequence[ExperimentFolder]) -> list[float | None]:
        """Return the weight of each member, found by its checkpoints; None where it took no part."""
        weight = dict(self.parts)
        return [next((weight[name] for name in weight if _made_by(member, name)), None) for member in members]


def _made_by(member: ExperimentFolder, name: str) -> bool:
    """Tell whether scores name a checkpoint of an experiment, and the network that the experiment is of."""
    digest, _, network = name.removeprefix(_HASH).partition("@")
    return digest in member.checkpoint_hashes and member.network in (None, network)


def producer_of(scores: Scores) -> Producer:
    """Return what scores say of who made them.

    >>> pair = (Member("sha256:ab", 0.75), Member("net.h5", 0.25))
    >>> list(_leaves((Member("ensemble", 0.5, pair), Member("third.h5", 0.5))))
    [('sha256:ab', 0.375), ('net.h5', 0.125), ('third.h5', 0.5)]
    """
    members = scores.members or (Member(scores.producer, 1.0),)
    return Producer(tuple(_leaves(members)), bool(scores.members), any(one.members for one in scores.members))


def _leaves(members: Sequence[Member], share: float = 1.0) -> Iterator[tuple[str, float]]:
    for one in members:
        if one.members:
            yield from _leaves(one.members, share * one.share)
        else:
            yield one.producer, share * one.share


def decision_of(producer: Producer, members: Sequence[ExperimentFolder]) -> str | None:
    """Say how scores were fused, None where whoever fused them does not tell."""
    if not producer.fused:
        return None
    if producer.nested:
        return "weighted mean of scores"
    weights = producer.weights_of(members)
    # In the order of the members, where all of them are known by their checkpoints.
    told = [weight for weight in weights if weight is not None]
    shown = told if len(told) == len(members) == len(producer.parts) else [weight for _, weight in producer.parts]
    if max(shown) - min(shown) <= _SAME_WEIGHT:
        return "mean of scores"
    return f"weighted mean of scores ({', '.join(f'{weight:.4g}' for weight in shown)})"


def check_members(paths: Sequence[str], producers: Sequence[Producer], members: Sequence[ExperimentFolder]) -> None:
    """Compare scores with the experiments that are to describe them; what does not fit is one warning each.

    Of several runs, the first is the one that is described. Raises UsageError where the scores are an ensemble of more
    systems than are named: every size would be too small.
    """
    named = len(members)
    for path, producer in zip(paths, producers, strict=True):
        count = len(producer.parts)
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

"""Several processes that train one network together, on one machine or many (torch's DistributedDataParallel).

`torchrun` starts them and says in the environment which one each is; `sedkit train` in each is then one training. Every
process takes its share of each stream's windows in a batch. The means of the loss are over the windows of all of them:
a term's sum here is divided by its count everywhere. The first process alone writes. Importable without torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, first_line
from sedkit.core.log import log
from sedkit.core.stamp import Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sedkit.objectives.base import Term

Said = TypeVar("Said")
#: An evaluation, for which the others wait, may take long; a process that dies is noticed by torchrun at once.
_PATIENCE = timedelta(hours=6)


@dataclass(frozen=True)
class Ranks:
    """A process among those that train together.

    Attributes
    ----------
    rank, size
        Which one it is, from 0, and how many there are.
    local
        Which one on this machine: the GPU that it takes.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @classmethod
    def of_environment(cls) -> Ranks:
        """Return what `torchrun` says of this process: RANK, WORLD_SIZE and LOCAL_RANK; alone where it says nothing.

        Raises
        ------
        UsageError
            They are no such numbers.
        """
        words = [os.environ.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"))]
        words.append(os.environ.get("LOCAL_RANK", words[0]))
        rank, size, local = (int(word) if word.isdecimal() else -1 for word in words)
        if not (0 <= rank < size and local >= 0):
            raise UsageError(
                f"RANK={words[0]}, WORLD_SIZE={words[1]}, LOCAL_RANK={words[2]} in the environment, expected numbers "
                "from 0, RANK below WORLD_SIZE, as torchrun sets them"
            )
        return cls(rank, size, local)

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def run(self, step: Step, make: Callable[[], object], device: str) -> bool:
        """Call `make` in every process unless the first one sees that the step holds; tell whether it was called.

        Parameters
        ----------
        step
            Locked and stamped by the first process.
        make
            Has all processes with it, and may talk to them.
        device
            `auto`, `cpu` or `cuda`: which way they talk.

        Raises
        ------
        SedkitError
            No GPU for this process, or another process is gone.
        """
        if self.size == 1:
            return step.run(make)
        # Where every parameter has a gradient, torch advises each process against looking for those that have none.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        import torch
        from torch import distributed

        on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        if on_gpu:
            if self.local >= torch.cuda.device_count():
                raise SedkitError(
                    f"process {self.local} of this machine has no GPU: torch finds {torch.cuda.device_count()}; start "
                    "as many processes as there are GPUs"
                )
            torch.cuda.set_device(self.local)
        if not self.first:
            log.setLevel("WARNING")
        # What is no tensor, and numbers of the processor, go through gloo beside NCCL.
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        try:
            if not self.first:
                due = self.told(False)
                if due:
                    make()
                return due

            def make_with_all() -> None:
                self.told(True)
                make()

            due = step.run(make_with_all)
            if not due:
                self.told(False)
            return due
        except RuntimeError as error:
            # Gloo's errors have no class of their own.
            if not isinstance(error, distributed.DistError) and "gloo/transport" not in str(error):
                raise
            raise SedkitError(
                f"process {self.rank} waits for another one that has ended ({first_line(error)}); what was saved is "
                "kept: give the same command again"
            ) from None
        finally:
            distributed.destroy_process_group()

    def told(self, said: Said) -> Said:
        """Return what the first process says."""
        if self.size == 1:
            return said
        from torch import distributed

        box = [said]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gathered(self, value: Said) -> list[Said]:
        """Return the values of all processes in their order."""
        if self.size == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def wrapped(self, network: nn.Module) -> nn.Module:
        """Return what runs in place of a network so that gradients are means over the processes.

        Parameters
        ----------
        network
            With the same weights in all of them, on its device. Its batch norms use a process's own windows, and their
            running statistics are those of the first, unless `synchronise_norms` was called.
        """
        if self.size == 1:
            return network
        from sedkit.training.synchronised import Synchronised

        return Synchronised(network)

    def synchronise_norms(self, network: nn.Module) -> None:
        """Let the batch norms of a network, on any device, use the windows of all processes; of one they do anyway."""
        if self.size > 1:
            from sedkit.training.synchronised import synchronise_norms

            synchronise_norms(network)

    def shared(self, terms: Mapping[str, Term]) -> dict[str, Term]:
        """Return terms whose means, averaged over the processes, are those over everyone's windows."""
        if self.size == 1:
            return dict(terms)
        import torch
        from torch import distributed

        device = next(iter(terms.values())).sum.device
        counts = torch.stack(
            [torch.as_tensor(term.count, dtype=torch.float64, device=device) for term in terms.values()]
        )
        distributed.all_reduce(counts)
        # Nothing adds nothing; see Term.
        counts = counts.clamp(min=1) / self.size
        return {name: replace(term, count=count) for (name, term), count in zip(terms.items(), counts, strict=True)}

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the means of numbers over the processes."""
        import torch

        if not values:
            return {}
        stacked = torch.stack(list(values.values()))
        if self.size > 1:
            from torch import distributed

            distributed.all_reduce(stacked)
            stacked = stacked / self.size
        return dict(zip(values, stacked.tolist(), strict=True))

    def draw(self, step: int) -> int:
        """Return a number that tells the random draws of this process at a step from all others."""
        return step * self.size + self.rank

    def part(self, seed: int) -> None:
        """Let torch's generator of this process, which was the same for the first weights, go a way of its own."""
        if self.rank:
            import torch

            (own,) = np.random.SeedSequence([seed, self.rank]).generate_state(1, np.uint64).tolist()
            torch.manual_seed(own)

    def share(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return each stream's windows in this process's share of a batch.

        Raises
        ------
        UsageError
            The processes would not all have the same.
        """
        uneven = {name: count for name, count in counts.items() if count % self.size}
        if uneven:
            name, count = next(iter(uneven.items()))
            raise UsageError(
                f"training.batch_size {sum(counts.values())} gives the stream {name} {count} windows a step, which "
                f"{self.size} processes cannot share alike; expected a multiple of {self.size} for each stream"
            )
        return {name: count // self.size for name, count in counts.items()}


#: A process that trains by itself.
ALONE = Ranks()

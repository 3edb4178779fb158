"""Is a configuration right, asked before there is anything to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedkit.core.config import read_config
from sedkit.core.errors import UsageError, listed, suggest
from sedkit.training.inputs import check_weights
from sedkit.training.plan import Plan
from sedkit.training.settings import SelectionSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sedkit.features.frontends import FrontEnd
    from sedkit.models.output import SedModel
    from sedkit.objectives.base import Objective


def check_config(
    config: Path,
    overrides: list[str],
    budget: str | None = None,
    of_pass: str | None = None,
    weights: str | None = None,
) -> None:
    """Check every section that decides what a training gives, before there is anything to train on.

    Parameters
    ----------
    config, overrides, budget, of_pass, weights
        As `sedkit.training.plan.make_plan` takes them.

    Raises
    ------
    UsageError
        An unknown section, key, budget or pass, a value that its section refuses, or no file of weights.
    """
    from sedkit.models.registry import resolve_model
    from sedkit.objectives.registry import build_objective
    from sedkit.objectives.schedules import resolve_schedule
    from sedkit.training.optimisers import resolve_optimiser
    from sedkit.training.selection import check_figures

    overrides = overrides if weights is None else [*overrides, f"training.weights={weights}"]
    plan = Plan(read_config(config, overrides, budget, of_pass), Path(), Path())
    check_weights(plan.training.weights)
    resolve_model(plan.config["model"])
    check_networks(build_objective(plan.config["objective"]), plan.config, plan.selection)
    resolve_optimiser(plan.config["optimiser"])
    resolve_schedule(plan.config.get("schedule") or {"name": "constant"})
    check_figures(plan.selection.figures.values())
    check_figures(plan.data.draw_figures, "data.draw_figures")


def check_embeddings(network: SedModel, embeddings: Mapping[str, FrontEnd]) -> None:
    """Refuse embeddings that the network does not take, or does not get, or that have another number of bins."""
    wanted, given = dict(network.embeddings), {name: frontend.n_bins for name, frontend in embeddings.items()}
    if wanted != given:
        shown = [listed([f"{name} of {n} bins" for name, n in one.items()]) or "none" for one in (wanted, given)]
        raise UsageError(f"model: takes as embeddings {shown[0]}, the section `embeddings` gives {shown[1]}")


def check_networks(objective: Objective, config: dict[str, Any], selection: SelectionSettings) -> None:
    """Refuse the name of a network that the objective does not keep, in `networks` or `selection.network`."""
    networks = config.get("networks") or []
    if not isinstance(networks, list):
        raise UsageError(f"networks: got {networks!r}, expected a list of names, such as [student, teacher]")
    wanted = [("networks", name) for name in networks]
    if selection.network is not None:
        wanted.append(("selection.network", selection.network))
    for key, name in wanted:
        if name not in objective.kept:
            raise UsageError(
                f"{key}: the objective keeps no network {name!r}{suggest(str(name), objective.kept)}, only "
                f"{listed(objective.kept)}"
            )

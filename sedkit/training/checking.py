"""Is a configuration right, asked before there is anything to train on."""

from __future__ import annotations

from pathlib import Path

from sedkit.core.config import read_config
from sedkit.training.plan import Plan


def check_config(config: Path, overrides: list[str], budget: str | None = None, of_pass: str | None = None) -> None:
    """Check every section that decides what a training gives, before there is anything to train on.

    Raises
    ------
    UsageError
        An unknown section, key, budget or pass, or a value that its section refuses.
    """
    from sedkit.models.registry import resolve_model
    from sedkit.objectives.registry import resolve_objective
    from sedkit.objectives.schedules import resolve_schedule
    from sedkit.training.optimisers import resolve_optimiser
    from sedkit.training.selection import check_figures

    plan = Plan(read_config(config, overrides, budget, of_pass), Path(), Path())
    resolve_model(plan.config["model"])
    resolve_objective(plan.config["objective"])
    resolve_optimiser(plan.config["optimiser"])
    resolve_schedule(plan.config.get("schedule") or {"name": "constant"})
    check_figures(plan.selection.figures.values())

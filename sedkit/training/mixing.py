"""The section `mix` as streams of mixtures that are rendered on the fly need it. Importable without torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sedkit.core.config import typed
from sedkit.core.errors import UsageError
from sedkit.features.frontends import FrontEnd
from sedkit.synthesis.plan import MixSettings
from sedkit.training.settings import StreamSettings


def mix_settings(
    config: dict[str, Any], streams: Iterable[tuple[str, StreamSettings]], frontend: FrontEnd
) -> MixSettings | None:
    """Return the section `mix` where a stream is of mixtures; None where none is.

    Raises
    ------
    UsageError
        The section is missing or of another set, rate or assignment, or the stream asks for what mixtures do not have.
    """
    mixed = {key: stream for key, stream in streams if stream.source == "mixtures"}
    if not mixed:
        return None
    if config.get("mix") is None:
        raise UsageError(f"{next(iter(mixed))}.source is mixtures, but the configuration has no section 'mix'")
    mix = typed(config["mix"], MixSettings, "mix")
    if mix.sample_rate != frontend.sample_rate:
        raise UsageError(
            f"mix.sample_rate is {mix.sample_rate}, expected that of the front end, {frontend.sample_rate}, for "
            "source: mixtures"
        )
    if mix.assignment != "grouped":
        raise UsageError(
            f"mix.assignment is {mix.assignment}, which puts scenes of a place into every fold, expected grouped for "
            "source: mixtures"
        )
    for key, stream in mixed.items():
        if stream.set != mix.events:
            raise UsageError(f"{key}.set is {stream.set}, expected mix.events, {mix.events}, for source: mixtures")
        refused = {
            "labels.source": stream.labels.source is not None,
            "labels.others": not stream.labels.others,
            "window.silence_db": stream.window is not None and stream.window.silence_db > 0,
        }
        for name in (name for name, given in refused.items() if given):
            raise UsageError(
                f"{key}.{name}: mixtures have their labels from their plan, and a scene throughout; leave it out"
            )
    return mix

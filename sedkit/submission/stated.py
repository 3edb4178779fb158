"""What is stated of a system by hand, in an author file or in a configuration's section `submission`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.submission.formats._format import SYSTEM

_KEYS = ("name", "abbreviation", "description", "external_datasets", "source_code")
_ABOVE = "system.description."
_DESCRIPTION_KEYS = tuple(item.path.removeprefix(_ABOVE) for item in SYSTEM if item.path.startswith(_ABOVE))


def read_stated(block: Any, where: str) -> dict[str, Any]:
    """Check what is stated of one system; `where` is file and key, for messages.

    Raises
    ------
    SedkitError
        An unknown key, or a value of another kind.
    """
    if block is None:
        return {}
    check_keys(block, _KEYS, where)
    for key in ("name", "abbreviation", "source_code"):
        check_text(block, key, where)
    if block.get("description") is not None:
        check_keys(block["description"], _DESCRIPTION_KEYS, f"{where}.description")
    return dict(block)


def stated_in(experiment: ExperimentFolder) -> dict[str, Any]:
    """Return what the section `submission` of an experiment's configuration says of the system."""
    return read_stated(experiment.config.get("submission"), f"{experiment.training / 'config.yaml'}: submission")


def check_keys(block: Any, known: tuple[str, ...], where: str) -> None:
    """Refuse what is no mapping, or holds another key than the known ones."""
    if not isinstance(block, Mapping):
        raise SedkitError(f"{where} is {block!r:.60}, expected a mapping with {listed(known, 20)}")
    for key in block:
        if key not in known:
            raise SedkitError(f"{where}: unknown key {key!r}{suggest(key, known)}; expected {listed(known, 20)}")


def check_text(block: Mapping[str, Any], key: str, where: str) -> None:
    """Refuse a value that is neither a text nor absent."""
    if not isinstance(block.get(key, ""), str | None):
        raise SedkitError(f"{where}: {key} is {block[key]!r:.60}, expected a text or null")

"""Options that several verbs share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sedkit.core.errors import UsageError, listed, suggest

if TYPE_CHECKING:
    from sedkit.core.options import Option
    from sedkit.core.registry import Registry


#: The options of `add_prediction`, and what they are where they are not given.
PREDICTION = {
    "checkpoint": "best",
    "network": None,
    "window": None,
    "hop": None,
    "device": "auto",
    "precision": "auto",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose every complaint is one line and status 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Complain of an unknown option first: what else is missing may follow from the slip."""
        known = [option for action in self._actions for option in action.option_strings]
        for word in words:
            if word == "--":
                break
            name = word.split("=", 1)[0]
            if name.startswith("--") and name not in known:
                raise UsageError(f"unknown option {name}{suggest(name, known)}; `{self.prog} --help` lists them")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.replace("unrecognized arguments:", "unknown words"))


def add_flag(parser: argparse.ArgumentParser, name: str, help: str, default: bool | None = False) -> None:
    """Add an option that is `true` or `false`."""

    def read(text: str) -> bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise argparse.ArgumentTypeError(f"{text!r}, expected true or false")

    parser.add_argument(name, type=read, default=default, metavar="true|false", help=help)


def add_miniature(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a package for a miniature is not asked for the evaluation set's number of clips."""
    add_flag(parser, "--miniature", "the list is a miniature's, of another length than the evaluation set's")


def number(low: float = -math.inf, high: float = math.inf, whole: bool = False) -> Callable[[str], Any]:
    """Return an argument type: a finite number (or whole number) within [low, high]."""

    def read(text: str) -> float | int:
        kind = "a whole number" if whole else "a number"
        try:
            value: float | int = int(text) if whole else float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}, expected {kind}") from None
        if not (math.isfinite(value) and low <= value <= high):
            raise argparse.ArgumentTypeError(f"{text}, expected {kind} from {low:g} to {high:g}")
        return value

    return read


def words(text: str) -> list[str]:
    """Read a comma-separated list."""
    names = [word.strip() for word in text.split(",") if word.strip()]
    if not names:
        raise argparse.ArgumentTypeError("an empty list, expected names separated by commas")
    return names


def add_config(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add `--config FILE.yaml` and trailing `section.key=value` overrides."""
    parser.add_argument("--config", required=required, metavar="FILE.yaml", help="the system's configuration")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="change single keys of the configuration"
    )


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Add `--budget NAME`."""
    parser.add_argument("--budget", metavar="NAME", help="apply budgets.NAME of the configuration: quick, published")


def add_seed(parser: argparse.ArgumentParser, help: str) -> None:
    """Add `--seed N`, 0 where none is given."""
    parser.add_argument("--seed", type=number(0, 2**32 - 1, whole=True), default=0, metavar="N", help=help)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add which checkpoint of an experiment, and which network of it."""
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="default: best")
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="where a training keeps several, such as student and teacher (default: the one that its run is of, else "
        "the one that the objective selects)",
    )


def add_prediction(parser: argparse.ArgumentParser) -> None:
    """Add which checkpoint and network score, in what windows, where and at which precision."""
    add_checkpoint(parser)
    parser.add_argument(
        "--window",
        type=lambda text: text if text == "whole" else number(0.01, 86400)(text),
        metavar="S|whole",
        help="longer recordings are cut into windows of this length (default: what the network was trained on)",
    )
    parser.add_argument(
        "--hop",
        type=number(0.001, 86400),
        metavar="S",
        help="from window to window (default: half a window; a whole one where the network gives one score a window)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of the convolutions")


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add `--force true|false`."""
    add_flag(parser, "--force", "make the output again if it is up to date")


def add_jobs(parser: argparse.ArgumentParser, default: str = "all cores") -> None:
    """Add `--jobs N|dask:ADDRESS`."""
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=None,
        metavar="N|dask:tcp://HOST:PORT",
        help=f"processes (default: {default}), or the scheduler of a Dask cluster whose workers do the work",
    )


def _jobs(text: str) -> int | str:
    from sedkit.core.parallel import DASK

    return text if text.startswith(DASK) else int(number(1, 4096, whole=True)(text))


def add_option(parser: argparse.ArgumentParser, option: Option, **more: Any) -> None:
    """Add an option that a dataclass declares; `more` takes the place of what it says of itself."""
    kind: dict[str, Any] = {"choices": option.choices} if option.choices else {}
    if not option.choices and not option.place:
        kind["type"] = number(*option.within, whole=option.whole)
    about = {"default": option.default, "metavar": option.metavar, "help": option.help}
    parser.add_argument(option.flag, **(kind | about | more))


def add_chosen(parser: argparse.ArgumentParser, registry: Registry[Any], help: str) -> None:
    """Add `name`, one of a registry, and every option that one of the registered declares."""
    parser.add_argument("name", choices=registry.names(), help=help)
    for option, names in _declared(registry):
        # None: not given. What nobody gave is filled in by the one that declares it.
        add_option(parser, option, default=None, help=f"{option.help} ({', '.join(names)})")


def chosen(args: argparse.Namespace, registry: Registry[Any]) -> dict[str, Any]:
    """Return what was given of the options of the chosen one.

    Raises
    ------
    UsageError
        An option that only others have was given.
    """
    given = {}
    for option, names in _declared(registry):
        value = getattr(args, option.name)
        if value is not None and args.name not in names:
            raise UsageError(f"{option.flag} {value}: {args.name} has no such option, only {listed(names)}")
        if value is not None:
            given[option.name] = value
    return given


def _declared(registry: Registry[Any]) -> list[tuple[Option, list[str]]]:
    """Return every option, and which of the registered have it."""
    from sedkit.core.options import options_of

    out: dict[str, tuple[Option, list[str]]] = {}
    for name in registry.names():
        for option in options_of(registry.entry(name)[1]).values():
            out.setdefault(option.flag, (option, []))[1].append(name)
    return list(out.values())


def jobs_of(args: argparse.Namespace) -> int:
    """Return the number of processes asked for, all cores if none; of a cluster, used from here on, its own."""
    from sedkit.core.parallel import DASK, cpu_jobs, use_cluster

    if isinstance(args.jobs, str):
        return use_cluster(args.jobs.removeprefix(DASK))
    return args.jobs or cpu_jobs()

"""`sedkit score`: figures of a system's output against a reference."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from sedkit.cli._options import PREDICTION, add_flag, add_force, add_option, add_prediction, number, words
from sedkit.core.errors import UsageError
from sedkit.core.log import log
from sedkit.core.stamp import Source, Step, facts_of

#: Options that name what a system put out, and others that name a file or folder the figures depend on.
_OUTPUTS = ("estimate", "operating_points", "scores", "against")
_INPUTS = (*_OUTPUTS, "reference", "durations", "labels", "groups", "clips")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sedkit.evaluation.metrics.base import all_metrics, declared_options

    metrics = all_metrics()
    *first, last = (metric.name for metric in metrics.values() if metric.reads == "estimate")
    of_tables = f"{', '.join(first)} and {last} figures"
    add = parser.add_argument
    add(
        "--reference",
        required=True,
        metavar="REF.tsv",
        help="filename onset offset event_label (or a weak table: tagging only); or label tracks, selection tables or "
        "JSON as `sedkit detect` writes them, a file or a folder of them",
    )
    add("--estimate", metavar="EST.tsv", help=f"table (or another form of events, as --reference) for {of_tables}")
    add("--operating-points", metavar="DIR", help="one table per threshold, file names ending in it: PSDS")
    add(
        "--scores",
        metavar="SCORES",
        help="scores.h5 or a folder of per-clip score TSVs: PSDS, tagging, frame, pauc",
    )
    add("--experiment", type=Path, metavar="EXP", help="experiment folder or checkpoint, for figures of its masks")
    add("--mixtures", metavar="DATA_DIR", help="rendered mixtures with stems, for figures of masks")
    add(
        "--durations",
        metavar="DUR.tsv",
        help="filename duration: PSDS and --baselines need it, intersection and pauc use it",
    )
    add("--metrics", type=words, metavar="A,B,…", help=f"of {','.join(metrics)} (default: those whose input is given)")
    add(
        "--threshold",
        metavar="T|all",
        help=f"operating point for {of_tables}; tagging threshold",
    )
    add(
        "--labels",
        metavar="LABELS.txt|NAME",
        help="keep these classes, one per line, or a list of metadata/classes (maestro_evaluated); the clips stay",
    )
    add("--clips", metavar="CLIPS.tsv", help="keep these clips of both sides")
    add("--fold", type=words, metavar="NAME[,NAME]", help="of --clips, only those with this fold")
    add("--groups", metavar="CLIPS.tsv", help="filename group: resample groups instead of clips")
    for option in declared_options():
        add_option(parser, option)
    add("--undefined", choices=("official", "zero"), default="official", help="what 0/0 counts as (official)")
    add(
        "--overlaps",
        choices=("refuse", "merge"),
        default="refuse",
        help="same-class overlaps in PSDS and intersection (refuse)",
    )
    add(
        "--bootstrap",
        type=number(100, 100_000, whole=True),
        metavar="N",
        help="95 %% intervals from N resamples (100 or more)",
    )
    add("--seed", type=number(0, 2**32 - 1, whole=True), metavar="N", help="of the resamples (0)")
    add("--against", metavar="OTHER", help="another table, folder of operating points or scores: paired difference")
    add_flag(parser, "--official", "also run sed_eval and psds_eval; fail where they differ")
    add_flag(parser, "--baselines", "also score no event at all, and every class throughout")
    add("--json", metavar="OUT.json", help="write the figures there instead of printing a table")
    add_prediction(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Score and print, or write the JSON."""
    from sedkit.dataio.event_formats import files_at
    from sedkit.evaluation.metrics.base import metrics_named

    metrics_named(args.metrics or ())
    threshold = _threshold(args.threshold)
    if args.seed is not None and not (args.bootstrap or args.against):
        raise UsageError("--seed is that of the resamples: give --bootstrap N too")
    for name, default in PREDICTION.items():
        if args.experiment is None and getattr(args, name) != default:
            raise UsageError(f"--{name} is of the network that gives masks: give --experiment too")
    checkpoint, args.network = _checkpoint(args)
    if not args.json:
        print(_scored(args, threshold, checkpoint)[1], end="")
        return
    given = {
        name: value for name, value in vars(args).items() if name not in ("json", "force", "experiment", "mixtures")
    }
    inputs: dict[str, Source] = {
        name: given.pop(name) for name in _INPUTS if given[name] is not None and Path(given[name]).exists()
    }
    if checkpoint is not None:
        inputs |= {"checkpoint": checkpoint, "mixtures": _sounds(args)}
    else:
        given = {name: value for name, value in given.items() if name not in PREDICTION}
    missing = Path(args.reference).with_name("missing.tsv")
    if missing.is_file():
        inputs["missing"] = str(missing)
    config = {"options": given, "facts": {name: facts_of(str(inputs[name])) for name in _OUTPUTS if name in inputs}}
    inputs |= {name: files_at(str(inputs[name])) for name in ("reference", "estimate") if name in inputs}

    def score() -> None:
        from sedkit.core.files import write_json

        write_json(args.json, _scored(args, threshold, checkpoint)[0])
        log.info("figures written to %s", args.json)

    Step("score", Path(args.json), config, inputs, args.force).run(score)


def _checkpoint(args: argparse.Namespace) -> tuple[Path | None, str | None]:
    """Return the checkpoint whose masks are scored, None where they are not, and the network of it."""
    from sedkit.evaluation.metrics.base import metrics_named

    wanted = [metric.name for metric in metrics_named(args.metrics or ()) if metric.reads == "masks"]
    if args.experiment is None or (args.metrics is not None and not wanted):
        return None, None
    if args.mixtures is None:
        raise UsageError(f"{f'--metrics {wanted[0]}' if wanted else '--experiment'} needs --mixtures")
    from sedkit.inference.clips import checkpoint_of

    return checkpoint_of(args.experiment, args.checkpoint, args.network)


def _sounds(args: argparse.Namespace) -> dict[str, Path]:
    """Return the files of the mixtures that are scored, stems included."""
    from sedkit.evaluation.reading import read_cut
    from sedkit.synthesis.mixture_set import Mixtures

    mixtures = Mixtures.open(args.mixtures)
    names = mixtures.data.clips.filename
    cut = read_cut(args.clips, args.fold, names)
    return mixtures.sources([name for name in names if cut is None or name in cut])


def _scored(args: argparse.Namespace, threshold: Any, checkpoint: Path | None) -> tuple[dict[str, Any], str]:
    """Return the figures as data, and as a table for people."""
    from dataclasses import fields

    from sedkit.evaluation.inputs import Options
    from sedkit.evaluation.metrics.base import declared_options
    from sedkit.evaluation.score import Request, score_files
    from sedkit.evaluation.show import as_text

    given = {field.name: getattr(args, field.name) for field in fields(Request) if hasattr(args, field.name)}
    given |= {
        "metrics": tuple(dict.fromkeys(args.metrics)) if args.metrics else None,
        "folds": tuple(args.fold) if args.fold else None,
        "threshold": threshold,
        "seed": args.seed or 0,
        "experiment": None if checkpoint is None else str(checkpoint),
    }
    settings = {option.name: getattr(args, option.name) for option in declared_options()}
    options = Options(settings, undefined=args.undefined, overlaps=args.overlaps)
    masks = None
    if checkpoint is not None:
        from sedkit.inference.masks import MaskPredictor

        masks = MaskPredictor.open(checkpoint, args.device, args.precision, args.window, args.hop, args.network)
    results = score_files(Request(**given, options=options), masks)
    return results, as_text(results)


def _threshold(text: str | None) -> Any:
    if text is None or text == "all":
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"--threshold {text}: expected a number or all")
    return value

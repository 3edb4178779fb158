"""`sedkit pack`: a challenge submission from experiments, events or scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from sedkit.cli._options import add_flag, add_miniature, words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sedkit pack`."""
    parser.add_argument("--format", required=True, metavar="NAME", help="dcase2018 ... dcase2024 (2023: a, b)")
    parser.add_argument("--authors", required=True, metavar="FILE", help="see submissions/authors.example.yaml")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for <label>/, the report and the zip")
    parser.add_argument("--report", metavar="PDF", help="technical report; without it no zip is written")
    parser.add_argument(
        "--label", metavar="LABEL", help="label of the first system, the others count on (default: from the authors)"
    )
    parser.add_argument("--files", metavar="LIST.tsv", help="evaluation list: filename, and duration if known")
    add_flag(
        parser,
        "--add",
        "with --label: the zip also holds the systems of earlier calls that lie in DIR (default: false)",
    )
    add_miniature(parser)
    add_flag(parser, "--check-config", "only check authors, label and report, which may be hours ahead of their use")
    experiments = parser.add_argument_group("systems of this toolkit")
    experiments.add_argument(
        "--experiment",
        nargs="+",
        default=[],
        metavar="EXP",
        help="experiments, one a system (score formats: seeds of one system are its runs); with --scores: the "
        "members of the ensemble",
    )
    experiments.add_argument(
        "--set",
        metavar="NAME",
        help="set to submit (default: evaluation, else public, else validation); with --scores: the set whose "
        "prediction by the members is stated in kWh (default: the name of the scores' file, if it is one of the three)",
    )
    experiments.add_argument(
        "--development",
        type=words,
        metavar="NAME,...",
        help="which of their results are stated as the development set's: results/NAME.json (default: validation)",
    )
    events = parser.add_argument_group("events made elsewhere")
    events.add_argument(
        "--system",
        nargs="+",
        default=[],
        metavar="EVENTS[:META.yaml[:POINTS]]",
        help="event tables, each with its meta file (whose authors and label are not taken over) and, where the format "
        "takes one, its folder of operating points (EVENTS::POINTS without a meta file); without META.yaml the meta "
        "file is a template: fill it in and give it back as META.yaml",
    )
    scores = parser.add_argument_group("scores: of an ensemble (with --experiment), or made elsewhere (with --meta)")
    scores.add_argument(
        "--scores",
        nargs="+",
        default=[],
        metavar="SCORES",
        help="scores.h5 or folders of per-clip score tables: one system, or its runs",
    )
    scores.add_argument(
        "--unprocessed", nargs="+", default=[], metavar="SCORES", help="the same runs before post-processing"
    )
    scores.add_argument(
        "--meta",
        metavar="META.yaml",
        help="description of a system made elsewhere; without it the meta file is a template, as for --system",
    )
    scores.add_argument(
        "--postprocessing", metavar="POST.yaml", help="how event formats decode the scores: file, preset or threshold"
    )
    one = parser.add_argument_group("one system, whatever it is packed from")
    one.add_argument(
        "--results",
        nargs="+",
        default=[],
        metavar="RESULTS.json",
        help="results on the development set (2024: on DESED's and on MAESTRO's); with --experiment: not its own",
    )
    one.add_argument(
        "--codecarbon",
        nargs="+",
        default=[],
        metavar="STAGE:TABLE.csv",
        help="without --experiment, from 2022 on: CodeCarbon's tables of the stages training, validation and "
        "evaluation (not in 2024), which go into the package and give the meta file's kWh",
    )


def run(args: argparse.Namespace) -> int:
    """Pack, check what was packed, and say what is missing for a zip."""
    if args.check_config:
        _check_config(args)
        return 0
    _check_use(args)
    from sedkit.core.experiment_folder import DEVELOPMENT_RESULTS
    from sedkit.core.log import log
    from sedkit.submission.authors import read_authors
    from sedkit.submission.clip_list import read_clip_list
    from sedkit.submission.energy_tables import read_energy_tables
    from sedkit.submission.findings import as_text, status
    from sedkit.submission.formats import get_format
    from sedkit.submission.pack.packed import pack
    from sedkit.submission.pack.sources import Inputs, ScoresInput, open_experiments, split_entry

    form = get_format(args.format)
    if args.miniature:
        form = form.of_miniature()
    authors = read_authors(args.authors)
    clips = read_clip_list(args.files) if args.files else None
    experiments = open_experiments(args.experiment, tuple(args.development or DEVELOPMENT_RESULTS))
    inputs = Inputs(form, authors, clips, args.results, read_energy_tables(args.codecarbon, form))
    if args.scores:
        given = ScoresInput(args.scores, args.unprocessed, experiments, args.set, args.meta, args.postprocessing)
        systems = [inputs.of_scores(given)]
    elif args.system:
        systems = [inputs.of_events(*split_entry(entry)) for entry in args.system]
    else:
        systems = inputs.of_experiments(experiments, args.set)
    packed = pack(form, systems, authors, args.out, args.label, args.report, clips, args.add)
    for folder in packed.folders:
        print(folder)
    if packed.zip:
        print(packed.zip)
    if packed.findings:
        log.info("%s", as_text(list(packed.findings)))
    if packed.incomplete:
        log.info("no zip: %s", "; ".join(packed.incomplete))
    return status(packed.findings)


def _check_config(args: argparse.Namespace) -> None:
    """Read what a call brings along beside systems."""
    from sedkit.submission.authors import label_of, read_authors
    from sedkit.submission.formats import get_format
    from sedkit.submission.pack.packed import read_report

    label_of(args.label, read_authors(args.authors), get_format(args.format), 1)
    if args.report:
        read_report(Path(args.report))


def _check_use(args: argparse.Namespace) -> None:
    """Refuse options that would be read and ignored."""
    from sedkit.core.errors import UsageError

    if not (args.experiment or args.system or args.scores):
        raise UsageError("nothing to pack: give --experiment, --system or --scores")
    if args.system and (args.experiment or args.scores):
        raise UsageError("--system stands alone, got --experiment or --scores beside it")
    for name in ("meta", "postprocessing", "unprocessed"):
        if getattr(args, name) and not args.scores:
            raise UsageError(f"--{name} belongs to --scores")
    for name in ("results", "codecarbon"):
        if getattr(args, name) and len(args.system) > 1:
            raise UsageError(f"--{name} is that of one system, got {len(args.system)}; pack them by calls of their own")
    if args.meta and args.experiment:
        raise UsageError("--meta is for systems without --experiment: experiments describe themselves")
    if args.codecarbon and args.experiment:
        raise UsageError("--codecarbon is for systems without --experiment: experiments have their own tables")
    if args.set and not args.experiment:
        raise UsageError(f"--set {args.set} chooses a set of --experiment, got none")
    if args.development and (not args.experiment or args.scores or args.results):
        raise UsageError(
            f"--development {','.join(args.development)} names results of --experiment; others go by --results alone"
        )
    if args.add and not args.label:
        raise UsageError("--add true needs --label: which of the team's systems this is")

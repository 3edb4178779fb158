"""`sedkit check`: faults of a submission made by anyone."""

from __future__ import annotations

import argparse

from sedkit.cli._options import add_miniature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `sedkit check`."""
    parser.add_argument("path", metavar="PATH", help="zip, unpacked package, or one system's folder")
    parser.add_argument("--format", required=True, metavar="NAME", help="dcase2018 ... dcase2024 (2023: a, b)")
    parser.add_argument("--files", metavar="LIST.tsv", help="evaluation list: filename, and duration if known")
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="REF.tsv",
        help="recompute the stated results on this strong table, where the output covers its clips (PSDS: with the "
        "durations of --files); give it again for another one (2024: DESED's and MAESTRO's)",
    )
    add_miniature(parser)
    parser.add_argument("--json", metavar="F", help="write the findings there too")


def run(args: argparse.Namespace) -> int:
    """Print the findings; status 1 where something is refused or scored wrongly, 2 where PATH is no package."""
    from sedkit.core.files import write_json
    from sedkit.submission.check import examine_package
    from sedkit.submission.clip_list import read_clip_list
    from sedkit.submission.findings import as_json, as_text, status
    from sedkit.submission.formats import get_format

    form = get_format(args.format)
    if args.miniature:
        form = form.of_miniature()
    clips = read_clip_list(args.files) if args.files else None
    checked = examine_package(args.path, form, clips, args.reference)
    findings = checked.findings
    print(as_text(findings))
    for result in checked.confirmed:
        print(result.text())
    if args.json:
        about = {"name": form.name, "title": form.title, "sources": form.sources, "unverified": form.unverified}
        figures = {"findings": as_json(findings), "recomputed": [result.as_json() for result in checked.confirmed]}
        write_json(args.json, {"path": args.path, "format": about, **figures})
    return status(findings)

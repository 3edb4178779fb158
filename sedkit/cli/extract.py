"""`sedkit extract`: the recordings of a data dir to a features file for each front end."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sedkit.cli._options import add_budget, add_config, add_force, add_jobs, jobs_of

if TYPE_CHECKING:
    from pathlib import Path

    from sedkit.dataio.datadir import DataDir
    from sedkit.features.frontends import FrontEnd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", metavar="DATA_DIR", help="data dir of a set, as `sedkit prepare` leaves it")
    add_config(parser)
    add_budget(parser)
    parser.add_argument(
        "--out", default=None, metavar="FEATURES.h5", help="default: DATA_DIR/<front end>-<hash of its parameters>.h5"
    )
    parser.add_argument(
        "--resampler",
        choices=("exact", "fast"),
        default="exact",
        help="fast: a short filter and single precision, within 0.05 dB of exact in the upper 60 dB of a clip (2 dB in "
        "the 3 frames at its ends); refused where the front end reads into its transition band (default: exact)",
    )
    add_jobs(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Extract each front end, unless its file was made from the same recordings with the same one."""
    from pathlib import Path

    from sedkit.core.config import read_config
    from sedkit.core.errors import UsageError
    from sedkit.core.log import log
    from sedkit.core.naming import naming_file
    from sedkit.dataio.datadir import DataDir
    from sedkit.features.extract import check_resampler
    from sedkit.features.frontends import features_path, frontend_from, frontends_from

    data = DataDir(args.data)
    with naming_file(args.config, args.overrides, args.budget):
        config = read_config(args.config, args.overrides, args.budget)
        frontend, embeddings = frontend_from(config.get("frontend")), frontends_from(config.get("embeddings"))
    if not frontend.sliceable:
        log.info("extract: %s: nothing to store, the front end transforms every window on its own", args.data)
        return
    if args.out and embeddings:
        raise UsageError(f"--out {args.out}: the configuration has {1 + len(embeddings)} front ends, expected one")
    for one in (frontend, *embeddings.values()):
        check_resampler(one, args.resampler)
    for one in (frontend, *embeddings.values()):
        _extract(args, data, one, Path(args.out) if args.out else features_path(data.path, one))


def _extract(args: argparse.Namespace, data: DataDir, frontend: FrontEnd, out: Path) -> None:
    from sedkit.core.files import content_hash
    from sedkit.core.log import log
    from sedkit.core.stamp import Step
    from sedkit.features.extract import extract

    clips = list(zip(data.clips.filename, data.clips.duration_s.tolist(), strict=True))
    config = {"frontend": frontend.identity, "resampler": args.resampler, "clips": content_hash(clips)}
    facts = {"of": [[data.identity, None]], "role": data.role}
    step = Step("extract", out, config, {"recordings": data.recordings()}, force=args.force, facts=facts)

    def make() -> None:
        hashes = step.content()["recordings"]
        extract(data, frontend, out, jobs=jobs_of(args), resampler=args.resampler, fresh=args.force, hashes=hashes)
        missing = len(data.missing())
        of = f" ({missing} listed clips are missing on disk)" if missing else ""
        log.info("extract: %s: %d clips%s, %s", out, len(data.clips), of, frontend.name)

    step.run(make)

"""`sedkit download`: fetch a public data set."""

from __future__ import annotations

import argparse

from sedkit.cli._options import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from sedkit.datasets.download import registry

    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(registry())}")
    parser.add_argument("out", metavar="OUT", help="folder to put the data set into")
    parser.add_argument(
        "--parts", type=words, default=None, metavar="A,B", help="parts to fetch (default: see metadata/datasets.yaml)"
    )
    parser.add_argument("--base-url", default=None, metavar="URL", help="a mirror that holds the files")


def run(args: argparse.Namespace) -> None:
    """Fetch, then say how to get what is not published."""
    from sedkit.core.errors import UsageError
    from sedkit.datasets.download import download, registry

    if args.base_url and not args.base_url.startswith(("http://", "https://")):
        raise UsageError(f"--base-url {args.base_url}: expected an address that begins with http:// or https://")
    placed = download(args.name, args.out, parts=args.parts, base_url=args.base_url)
    for path in placed:
        print(path)
    about = registry()[args.name]
    print(f"{about['home']}; licence: {about['licence']}")
    request = about.get("request")
    if request:
        print(request.replace("OUT", str(args.out)).rstrip())

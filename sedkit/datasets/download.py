"""Fetch public data sets: resumed where it stopped, checked, unpacked safely, moved into place file by file.

The parts, their addresses and checksums are data: `metadata/datasets.yaml`. What was fetched is recorded in
`OUT/download.json`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import lock, read_json, read_yaml, sha256_file, write_json
from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.core.resources import metadata_path
from sedkit.datasets.archives import BrokenArchive, unpack
from sedkit.datasets.registry import DATASETS, dataset_named

#: What a call leaves in OUT.
RECORD = "download.json"
#: Where archives wait in OUT while they are incomplete.
WORK = ".download"
# What is not yet a whole block when a connection breaks is lost: small blocks lose little.
_CHUNK = 1 << 14
_TRIES = 5
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Part:
    """One file of a data set: see `metadata/datasets.yaml`."""

    name: str
    title: str
    file: str
    url: str
    checksum: str
    place: dict[str, str]
    moving: bool = False
    stated_by: str = ""

    @property
    def known_hash(self) -> str | None:
        """``algorithm:value``, None where nobody states one."""
        return None if self.checksum == "unverified" else self.checksum

    @property
    def packed(self) -> bool:
        """Whether it is an archive, not a file to be put in place as it is."""
        return self.file.endswith((".zip", ".tar.gz", ".tgz", ".tar"))


def registry() -> dict[str, Any]:
    """The data sets that can be fetched: those in `metadata/datasets.yaml`, and those that say it themselves."""
    published: dict[str, Any] = read_yaml(metadata_path("datasets.yaml"))
    declared = {name: dataset_named(name).published for name in DATASETS.names()}
    return published | {name: entry for name, entry in declared.items() if entry is not None}


def parts_of(name: str, wanted: Sequence[str] | None = None) -> list[Part]:
    """The parts of a data set: those asked for, else the default ones."""
    sets = registry()
    if name not in sets:
        raise UsageError(f"{name}: no such data set{suggest(name, sets)}; there are {listed(sets)}")
    known = sets[name]["parts"]
    for part in wanted or []:
        if part not in known:
            raise UsageError(f"{name} has no part {part!r}{suggest(part, known)}; there are {listed(known, 10)}")
    return [Part(name=part, **known[part]) for part in (wanted or sets[name]["default"])]


def download(
    name: str,
    out: str | os.PathLike[str],
    *,
    parts: list[str] | None = None,
    base_url: str | None = None,
    wait_s: float = 1.0,
) -> list[Path]:
    """Fetch a data set into `out` and return what was put in place, top level; files that are there already stay.

    Parameters
    ----------
    name, parts
        One of `registry`, and names of its parts; None takes the default ones.
    base_url
        A mirror: ``<base_url>/<file>`` takes the place of the publisher's address.
    wait_s
        Pause before the second try after a lost connection; it doubles with each try.

    Raises
    ------
    SedkitError
        No connection, a checksum that does not agree, or an archive with unsafe members.
    """
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    placed: list[Path] = []
    with lock(root / ".download.lock"):
        record: dict[str, Any] = read_json(root / RECORD) if (root / RECORD).is_file() else {}
        for part in parts_of(name, parts):
            known = record.get(part.file)
            if known and _in_place(known, part, root):
                log.info("download: %s is there already", part.file)
                continue
            url = f"{base_url.rstrip('/')}/{part.file}" if base_url else part.url
            archive = fetch(part, url, root / WORK, known["sha256"] if known else None, wait_s)
            try:
                new = place(part, archive, root)
            except BrokenArchive:
                archive.unlink()  # the next call fetches it anew
                raise
            record[part.file] = {
                "url": url,
                "sha256": sha256_file(archive),
                "size": archive.stat().st_size,
                "verified": _agrees(archive, part.known_hash),
                "placed": [str(path.relative_to(root)) for path in new],
            }
            write_json(root / RECORD, record)
            placed += new
            archive.unlink()
        if (root / WORK).is_dir() and not any((root / WORK).iterdir()):
            (root / WORK).rmdir()
    return placed


def _in_place(known: dict[str, Any], part: Part, root: Path) -> bool:
    """Whether what a call put in place is there, and no other release of the same table in its stead."""
    paths = [root / path for path in known.get("placed", [])]
    there = bool(paths) and all(path.exists() for path in paths)
    return there and (part.packed or sha256_file(paths[0]) == known["sha256"])


def fetch(part: Part, url: str, folder: Path, recorded_sha256: str | None, wait_s: float) -> Path:
    """Fetch one file into `folder` and check it; what an earlier call left of it is used."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    known = part.known_hash if not part.moving else None
    known = known or (f"sha256:{recorded_sha256}" if recorded_sha256 and not part.moving else None)

    def resuming(url: str, target: str, _: Any) -> None:
        _resume(url, folder / f"{part.file}.part", target, wait_s)

    log.info("download: %s: %s from %s", part.title or part.name, part.file, url)
    try:
        path = Path(pooch.retrieve(url, known, part.file, str(folder), downloader=resuming))
    except ValueError as error:
        # pooch removed the file; a second try starts from the first byte.
        raise SedkitError(
            f"{url}: checksum differs from {known} ({part.stated_by or 'recorded at the first download'}); the file "
            "was removed: fetch it again, and if it differs again the publisher has changed it"
        ) from error
    if known is None and part.known_hash is None:
        log.warning("%s: nobody states its checksum; recorded as unverified: sha256 %s", part.file, sha256_file(path))
    elif part.moving and not _agrees(path, part.known_hash):
        log.warning("%s: other than the archive of %s (it follows a branch); recorded", part.file, part.known_hash)
    return path


def _agrees(path: Path, known_hash: str | None) -> bool:
    import pooch

    if known_hash is None:
        return False
    algorithm, value = known_hash.split(":")
    return bool(pooch.file_hash(str(path), alg=algorithm) == value)


def _resume(url: str, incomplete: Path, target: str, wait_s: float) -> None:
    """Fetch `url` into `target`, going on where an earlier call stopped.

    The incomplete file has the server's mark of its version beside it: if the file has changed on the server meanwhile
    (``If-Range``), it is fetched from the start.
    """
    import requests

    incomplete.parent.mkdir(parents=True, exist_ok=True)
    mark = incomplete.with_name(incomplete.name + ".json")
    for attempt in range(_TRIES):
        try:
            _go_on(url, incomplete, mark)
            break
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status < 500 and status != 429:
                raise SedkitError(f"{url}: the server answers {status}") from None
            problem: Exception = error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            problem = error
        if attempt == _TRIES - 1:
            raise SedkitError(
                f"{url}: no connection after {_TRIES} tries ({type(problem).__name__}); {_bytes_of(incomplete)} bytes "
                "are kept, the same call goes on from there"
            ) from None
        time.sleep(wait_s * 2**attempt)
    os.replace(incomplete, target)
    mark.unlink(missing_ok=True)


def _bytes_of(incomplete: Path) -> int:
    return incomplete.stat().st_size if incomplete.exists() else 0


def _go_on(url: str, incomplete: Path, mark: Path) -> None:
    import requests

    before = read_json(mark) if mark.exists() else {}
    size = _bytes_of(incomplete) if before.get("url") == url and before.get("version") else 0
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={size}-", "If-Range": before["version"]} if size else {}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if answer.status_code == 416:
            # Nothing is left to fetch, or the file became shorter: either way start over to be sure.
            incomplete.unlink(missing_ok=True)
            raise requests.ConnectionError("range not satisfiable")
        answer.raise_for_status()
        if answer.status_code != 206:
            size = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
            incomplete.unlink(missing_ok=True)
            raise requests.ConnectionError("another range than asked for")
        length = answer.headers.get("Content-Length", "")
        total, free = size + int(length) if length.isdecimal() else None, shutil.disk_usage(incomplete.parent).free
        if size and before.get("total") not in (None, total):
            incomplete.unlink(missing_ok=True)
            raise requests.ConnectionError("another length than before")
        if total is None and not answer.raw.chunked:
            log.warning("%s: the server does not say how long it is: it may have been cut off", url)
        if total is not None and total - size > free:
            raise SedkitError(f"{url}: {total - size} bytes are still to come, {free} are free in {incomplete.parent}")
        # A weak mark (W/…) does not promise equal bytes.
        etag = answer.headers.get("ETag", "")
        version = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
        write_json(mark, {"url": url, "version": version, "total": total})
        with open(incomplete, "r+b" if size else "wb") as file:
            file.seek(size)
            with progress(total=total, description=incomplete.stem, unit="B") as bar:
                bar.update(size)
                for block in answer.iter_content(_CHUNK):
                    size += file.write(block)
                    bar.update(len(block))
    if total is not None and size < total:
        raise requests.ConnectionError(f"{size} of {total} bytes")


def place(part: Part, archive: Path, root: Path) -> list[Path]:
    """Unpack an archive, move what `part.place` names into `root`, and return the targets.

    A file that is no archive is moved as it is; of an archive that holds none of the named paths all goes into a folder
    of its name.
    """
    if not part.packed:
        target = root / next(iter(part.place.values()))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archive, target)
        return [target]
    staging = archive.with_name(archive.name + ".unpacked")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        unpack(archive, staging)
        targets = []
        for source, inside in part.place.items():
            content = _find(staging, source)
            if content is not None:
                merge(content, root / inside)
                targets.append(root / inside)
        if not targets:
            target_folder = root / archive.name.split(".")[0]
            log.warning(
                "%s: holds none of %s; unpacked as it is into %s", archive.name, listed(part.place), target_folder
            )
            merge(staging, target_folder)
            targets.append(target_folder)
        return targets
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _find(staging: Path, source: str) -> Path | None:
    """`source` in the archive, also where the archive adds or lacks a top folder."""
    candidates = [staging / source, *(folder / source for folder in sorted(staging.iterdir()) if folder.is_dir())]
    if "/" in source:
        candidates.append(staging / source.split("/", 1)[1])
    return next((path for path in candidates if path.exists()), None)


def merge(source: Path, target: Path) -> None:
    """Move a file, or all files of a folder, to `target`; files of the same name are replaced, others stay."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    else:
        shutil.copytree(source, target, copy_function=os.replace, dirs_exist_ok=True)

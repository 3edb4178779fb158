"""A correct package of any format, as a mapping from path to bytes, small enough to be checked hundreds of times."""

from __future__ import annotations

import random
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from sedkit.submission.authors import Authors
from sedkit.submission.clip_list import ClipList
from sedkit.submission.formats import Format, get_format
from sedkit.submission.meta.write import SystemMeta, build_meta, meta_text

CLIPS = tuple(f"clip_{i:02d}.wav" for i in range(12))
CLIP_LIST = ClipList(CLIPS, dict.fromkeys(CLIPS, 10.0))
FORMATS = ("dcase2018", "dcase2019", "dcase2020", "dcase2021", "dcase2022", "dcase2023a", "dcase2023b", "dcase2024")

PEOPLE = [
    {
        "lastname": "Okafor",
        "firstname": "Ada",
        "email": "ada.okafor@uni.edu",
        "corresponding": True,
        "affiliation": {"abbreviation": "UNI", "institute": "A University"},
    },
    {
        "lastname": "Berg",
        "firstname": "Nils",
        "email": "nils.berg@uni.edu",
        "affiliation": {"abbreviation": "UNI", "institute": "A University"},
    },
]


def pdf(text: str = "We detect sound events with a network.", pages: int = 1) -> bytes:
    """A report that says one thing again and again: a plain PDF with its pages, as readers ask for them."""
    lines = "".join(f"({text}) Tj T*\n" for _ in range(5)).encode("latin-1")
    return pdf_of(b"BT /F1 12 Tf 14 TL 50 700 Td\n" + lines + b"ET", pages)


def pdf_of(content: bytes, pages: int = 1, said: bytes = b"") -> bytes:
    """A PDF whose pages all show the same content stream; `said` stands in the stream's dictionary."""
    kids = b" ".join(b"%d 0 R" % (5 + i) for i in range(pages))
    fonts = b"/Resources << /Font << /F1 3 0 R >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R " + fonts + b" >>"
    return pdf_of_objects(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), said, content),
        *[page] * pages,
    )


def pdf_of_objects(*objects: bytes) -> bytes:
    """A PDF of these objects, the first its catalog; a comment makes it as long as any report."""
    out, places = bytearray(b"%PDF-1.4\n%" + b"-" * 1100 + b"\n"), []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, table)
    return bytes(out)


def events(form: Format, seed: int, part: float = 1.0) -> str:
    """A table with 0 to 3 separate events a clip, or the first part of each."""
    rng = random.Random(seed)
    rows = []
    for i, clip in enumerate(CLIPS):
        n = i % 4
        if n == 0:
            rows.append(f"{clip}\t\t\t")
        for k in range(n):
            onset = 3 * k + rng.uniform(0.0, 0.5)
            rows.append(f"{clip}\t{onset:.3f}\t{onset + part * rng.uniform(0.5, 2):.3f}\t{rng.choice(form.labels)}")
    return "\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n"


def scores(form: Format, seed: int) -> str:
    """A score table of ten windows of one second."""
    rng = random.Random(seed)
    rows = [[i, i + 1, *(round(rng.random(), 4) for _ in form.labels)] for i in range(10)]
    lines = ["\t".join(map(str, row)) for row in rows]
    return "\n".join(["\t".join(["onset", "offset", *form.labels]), *lines]) + "\n"


def meta(form: Format, label: str) -> dict[str, Any]:
    """A complete meta file."""
    values: dict[str, Any] = {
        "system.description.input_channels": "mono",
        "system.description.input_sampling_rate": 32,
        "system.description.acoustic_features": "log-mel energies",
        "system.description.machine_learning_method": "CNN",
        "system.complexity.total_parameters": 4691274,
        "system.complexity.MACS": 8_300_000_000,
        "results.development_dataset.overall.F-score": 32.5,
        "results.development_dataset.overall.PSDS1": 0.353,
        "results.development_dataset.overall.PSDS2": 0.548,
        "results.devtest.desed.PSDS1": 0.48,
        "results.devtest.maestro.mPAUC": 0.73,
        "system.complexity.energy.training": 1.39,
        "system.complexity.energy.devtest_inference": 0.019,
        "system.complexity.energy.evaluation_inference": 0.021,
        "system.complexity.energy_baseline.training": 1.666,
        "system.complexity.energy_baseline.devtest_inference": 0.143,
    }
    values |= {"submission.name": "A convolutional network", "submission.abbreviation": "CNN"}
    for i, name in enumerate(form.labels):
        values[f"results.development_dataset.class_wise.{name}.F-score"] = 28.0 + i
    return build_meta(form, label, Authors(PEOPLE), SystemMeta(values))


def correct(name: str, systems: int = 1) -> dict[str, bytes]:
    """Return a package in which nothing is to be found (with `CLIP_LIST` as evaluation list)."""
    points = get_format(name).points
    return dict(_correct(name, systems, points and points.thresholds))


@cache
def _correct(name: str, systems: int, thresholds: tuple[float, ...] | None) -> dict[str, bytes]:
    form = get_format(name)
    files = {f"Okafor_UNI_{form.task_codes[0]}.technical_report.pdf": pdf()}
    for number in range(1, systems + 1):
        label = form.label("Okafor", "UNI", number)
        home = f"{label}/{label}"
        files[f"{home}.meta.yaml"] = meta_text(meta(form, label)).encode()
        if form.table_suffix:
            files[f"{home}{form.table_suffix}"] = events(form, number).encode()
        if form.points:
            for threshold in thresholds or ():
                files[f"{home}{form.points.suffix}/predictions_th_{threshold:.2f}.tsv"] = events(
                    form, 7, 1 - 0.9 * threshold
                ).encode()
        if form.energy:
            files[f"{label}/codecarbon_training.csv"] = b"timestamp,duration,energy_consumed\n2024-06-01,99.5,1.39\n"
        if form.scores:
            for run in range(1, form.scores.runs + 1):
                suffixes = [form.scores.suffix]
                suffixes += [form.scores.unprocessed_suffix] if form.scores.unprocessed else []
                for raw, suffix in enumerate(suffixes):
                    for i, clip in enumerate(CLIPS):
                        path = f"{home}{suffix.format(run=run)}/{clip.removesuffix('.wav')}.tsv"
                        files[path] = scores(form, 1000 * number + 100 * run + 50 * raw + i).encode()
    return files


def as_zip(files: dict[str, bytes], path: Path) -> Path:
    """Write the files into a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def as_folder(files: dict[str, bytes], path: Path) -> Path:
    """Write the files into a folder."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path

"""A random training batch of 32 x (640, 64) from a features file: the memory map against HDF5 as usually laid out.

Each run reads other random clips, the same for all contestants. As in every epoch but the first, the files have been
read once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.dataio.store import FeatureFile, new_feature_file
from sedkit.dataio.windows import lay
from sedkit.features.frontends import frontend_from
from sedkit.features.sources import StoredFeatures

RUNS = 18
FRONTEND = frontend_from({"name": "logmel"})
FRAMES, BINS, BATCH = 640, 64, 32
# The authors read a batch by one selection, which is the first of the two ways to read their layout. Within twice the
# time of a copy of memory is half as fast.
COMPARISONS: Comparisons = {
    "storage": ("StoredFeatures", "auto-chunked, selection", 100.0),
    "storage.loop": ("StoredFeatures", "auto-chunked, loop", None),
    "storage.by_clip": ("StoredFeatures", "one chunk per clip, loop", None),
    "storage.contiguous": ("StoredFeatures", "contiguous, loop", None),
    "storage.copy": ("StoredFeatures", "copy within memory", 0.5),
}
#: Numbers that fill every processor cache (128 MB).
CACHES = 1 << 25


def make_files(folder: Path, clips: int) -> None:
    """Write the same features in three layouts."""
    rng = np.random.default_rng(0)
    attributes = {
        "frontend": FRONTEND.as_dict(),
        "frontend_hash": FRONTEND.hash8,
        "scale": FRONTEND.scale,
        "sample_rate": FRONTEND.sample_rate,
        "hop_samples": FRONTEND.grid.hop_samples,
    }
    names = [f"{i}.wav" for i in range(clips)]
    n_frames = np.full(clips, FRAMES)
    with (
        h5py.File(folder / "grown.h5", "w") as grown,
        h5py.File(folder / "by_clip.h5", "w") as by_clip,
        new_feature_file(folder / "ours.h5", names, n_frames, (FRAMES, BINS), **attributes) as ours,
    ):
        # Without chunks=, h5py guesses them for a data set that can grow.
        auto = grown.create_dataset("feature", (0, FRAMES, BINS), maxshape=(None, FRAMES, BINS), dtype=np.float32)
        chunked = by_clip.create_dataset("feature", (clips, FRAMES, BINS), np.float32, chunks=(1, FRAMES, BINS))
        for i in range(clips):
            clip = rng.standard_normal((FRAMES, BINS), dtype=np.float32)
            auto.resize((i + 1, FRAMES, BINS))
            auto[i] = chunked[i] = ours[i] = clip


def run(form: Form) -> Report:
    """Read the same batches from each layout."""
    clips = 100 if form.quick else 1000
    caches, rows = np.zeros(CACHES, dtype=np.float32), np.arange(BATCH)

    def before(run: int) -> None:
        nonlocal caches
        # HDF5 selections want rising rows.
        rows[:] = np.sort(np.random.default_rng(run).choice(clips, BATCH, replace=False))
        # Nobody finds in the processor's caches what another left there.
        caches += 1

    def loop(data: h5py.Dataset) -> Callable[[], np.ndarray]:
        return lambda: np.stack([data[row] for row in rows])

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder, clips)
        file = FeatureFile(folder / "ours.h5")
        memory = np.array(file.features)
        ours = StoredFeatures.open(file.path, FRONTEND, file.filenames)
        windows = lay(ours.n_frames, FRONTEND.grid, FRAMES, FRAMES)
        with (
            h5py.File(folder / "grown.h5") as grown,
            h5py.File(folder / "by_clip.h5") as by_clip,
            h5py.File(folder / "ours.h5") as contiguous,
        ):
            chunks = grown["feature"].chunks
            for data in (grown["feature"], by_clip["feature"], contiguous["features"]):
                for start in range(0, clips, BATCH):
                    data[start : start + BATCH]
            seconds, batches = in_turn(
                form,
                {
                    "auto-chunked, selection": lambda: grown["feature"][rows],
                    "auto-chunked, loop": loop(grown["feature"]),
                    "one chunk per clip, loop": loop(by_clip["feature"]),
                    "contiguous, loop": loop(contiguous["features"]),
                    "StoredFeatures": lambda: ours.features(windows.take(rows)),
                    "copy within memory": lambda: np.take(memory, rows, axis=0, mode="clip"),
                },
                before,
            )
    same = all(bool((batch == memory[rows]).all()) for batch in batches.values())
    return Report(
        title=f"a batch of {BATCH} x ({FRAMES}, {BINS}) float32 out of {clips} clips; auto-chunked is {chunks}",
        seconds=seconds,
        equal=dict.fromkeys(COMPARISONS, same),
        work={"batches": 1},
        limits={key: "copy within memory" for key in COMPARISONS if key != "storage.copy"},
    )

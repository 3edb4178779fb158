"""WAV to embeddings of BEATs to HDF5: `sedkit extract` against the plain loop over clips with the same network.

Both sides have the same random weights at the released size. In float32 rows are equal to 1e-3, their spread being 1;
what bfloat16 changes is stated, and must stay below 0.05 on average. With a GPU `extract` uses it, the loop does not.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks._measure import Comparisons, Form, Report, in_turn
from benchmarks.features import make_set
from benchmarks.peers import embedding_loop
from sedkit.dataio.store import FeatureFile
from sedkit.embeddings.beats import BeatsFrontEnd
from sedkit.features.extract import extract
from sedkit.models.beats import Beats
from sedkit.models.precision import choose_device, choose_precision, cpu_name
from sedkit.models.sizes import BeatsOptions

RUNS, CLIPS = 2, 4
COMPARISONS: Comparisons = {
    "embeddings": ("sedkit extract", "the loop, float32", None),
    "embeddings.fp32": ("sedkit extract, float32", "the loop, float32", None),
}
#: Largest difference in float32, and the mean one in bfloat16; the rows' standard deviation is 1.
TOLERANCE = (1e-3, 0.05)


def run(form: Form) -> Report:
    """Extract the same clips in each way."""
    torch.set_num_threads(form.threads)
    clips = 2 if form.quick else CLIPS
    size = BeatsOptions(layers=2) if form.quick else BeatsOptions()
    device = choose_device("auto")
    dtype = choose_precision("auto", device)
    torch.manual_seed(0)
    network = Beats(size).eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "beats.pt"
        torch.save({"model": network.state_dict()}, weights)
        exact = BeatsFrontEnd(weights=str(weights), network=size)
        fast = replace(exact, precision="bf16" if dtype == torch.bfloat16 else "fp32")
        data = make_set(folder, clips)
        paths = [data.audio_path(i) for i in range(clips)]
        seconds, _ = in_turn(
            form,
            {
                "the loop, float32": lambda: embedding_loop.loop(paths, network, folder / "loop.h5"),
                "sedkit extract, float32": lambda: extract(data, exact, folder / "exact.h5", fresh=True),
                "sedkit extract": lambda: extract(data, fast, folder / "fast.h5", fresh=True),
            },
        )
        import h5py

        with h5py.File(folder / "loop.h5") as file:
            expected = file["features"][:]
        off = {
            key: np.abs(FeatureFile(folder / f"{file}.h5").features - expected)
            for key, file in (("embeddings", "fast"), ("embeddings.fp32", "exact"))
        }
    same = off["embeddings.fp32"].max() <= TOLERANCE[0]
    near = off["embeddings"].mean() <= TOLERANCE[1] if dtype == torch.bfloat16 else same
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return Report(
        title=f"wav -> BEATs ({size.layers} layers) -> HDF5: {clips} clips of 10 s, up to {exact.batch} at a time, "
        f"{form.threads} threads, sedkit in {str(dtype)[6:]}; {where}",
        seconds=seconds,
        equal={"embeddings": bool(near), "embeddings.fp32": bool(same)},
        work={"clips": clips},
        notes=tuple(f"{key}: differs by up to {x.max():.1e}, {x.mean():.1e} on average" for key, x in off.items()),
    )

"""White noise to mix events into, where there are no recorded scenes (Kong et al. 2018, arXiv 1804.04715)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sedkit.core.stamp import Step
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.synthesis.plan import MixSettings

#: What `mix.scenes` may name without a data dir, and what its samples lie between; as published, with an offset.
NOISES = {"white_noise": (0.0, 1.0), "white_noise_centred": (-1.0, 1.0)}
#: Recordings of it: 82 MB of 10 s at 32 kHz. The authors draw one for each mixture, of which these are the first.
COUNT = 128
_SEED = 1234


def make_noise(folder: Path, settings: MixSettings, force: bool = False) -> bool:
    """Make the data dir `mix.scenes` where it names a noise; what is there and is not of this function's making stays.

    Parameters
    ----------
    folder
        The data dir; its recordings come to lie beside it, `<folder>.audio/`.
    settings
        Length and rate of the recordings.
    force
        Make what is up to date again.

    Returns
    -------
    Whether there was anything to make.
    """
    audio = folder.with_name(f"{folder.name}.audio")
    config = {"noise": settings.scenes, "length_s": settings.length_s, "sample_rate": settings.sample_rate}
    step = Step("mix plan", folder, config, force=force, beside=lambda: {"audio": audio})
    if settings.scenes not in NOISES or (folder.exists() and not step.stamp_path.exists()):
        return False

    def make() -> None:
        rng, samples = np.random.RandomState(_SEED), round(settings.length_s * settings.sample_rate)
        names = tuple(f"{settings.scenes}-{k}.wav" for k in range(COUNT))
        for name in names:
            write_wav(audio / name, rng.uniform(*NOISES[settings.scenes], samples), settings.sample_rate)
        seconds = np.full(COUNT, samples / settings.sample_rate)
        clips = Clips(names, tuple(f"../{audio.name}/{name}" for name in names), seconds)
        facts = {"dataset": "noise", "set": settings.scenes, "role": "training"}
        write_datadir(folder, clips, Vocabulary((settings.scenes,)), facts=facts)

    return step.run(make)

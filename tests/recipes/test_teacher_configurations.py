"""The configurations of systems that hear unlabelled clips, and of the one that they are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedkit.core.config import read_config
from sedkit.features.frontends import frontend_from
from sedkit.models.registry import build_model
from sedkit.objectives.registry import resolve_objective
from sedkit.training.batches import shares
from sedkit.training.settings import data_settings

#: Streams that are learnt from, parameters, frames of features and of the network.
TEACHER_SYSTEMS = {
    "crnn_supervised": (("weak", "synthetic"), 214_356, (864, 108)),
    "crnn_mean_teacher": (("weak", "synthetic", "unlabelled"), 214_356, (864, 108)),
    "crnn_mean_teacher_faithful": (("weak", "synthetic", "unlabelled"), 214_356, (864, 108)),
    "crnn_2021": (("weak", "synthetic", "unlabelled"), 1_112_420, (626, 156)),
    "fdy_crnn": (("weak", "synthetic", "unlabelled"), 11_061_468, (626, 156)),
    "fdy_crnn_small": (("weak", "synthetic", "unlabelled"), 2_770_884, (626, 156)),
}


@pytest.mark.parametrize("system", TEACHER_SYSTEMS)
def test_systems_that_hear_unlabelled_clips(repository: Path, system: str) -> None:
    sets, parameters, frames = TEACHER_SYSTEMS[system]
    path = repository / f"recipes/dcase2019_task4/conf/{system}.yaml"
    raw = read_config(path, budget="published")
    frontend, data = frontend_from(raw["frontend"]), data_settings(raw["data"])
    network = build_model(raw["model"], 10, frontend.n_bins)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert frontend.frames_for(10.0) == frames[0] and frames[0] // network.time_pooling == frames[1]
    streams = {key.rpartition(".")[2]: one for key, one in data.of_run("split") if key.startswith("data.streams.")}
    assert tuple(stream.set for stream in streams.values()) == sets
    counts = shares(streams, raw["training"]["batch_size"])
    # What validation's events add where they are trained on: a stream of real clips, as many as synthetic ones.
    added = dict(data.of_run("all+validation"))["data.streams.validation"]
    assert (added.set, added.labels.target, added.share) == ("validation", "frame", streams["synthetic"].share)
    assert (added.augment, added.views) == (streams["synthetic"].augment, streams["synthetic"].views)
    deep = raw["frontend"]["n_mels"] == 128
    weak, synthetic, *unlabelled = counts.values()
    # 6 + 6 + 12 of 2019, 12 + 12 + 24 of 2021.
    assert weak == synthetic == (12 if deep or not unlabelled else 6)
    assert unlabelled == ([] if len(sets) == 2 else [2 * weak])
    objective = resolve_objective(raw["objective"])
    assert raw.get("networks") == (["student", "teacher"] if unlabelled else None)
    if unlabelled:
        assert objective["schedule"]["until"] == (0.25 if deep else 0.5)
        assert (objective["consistency"], objective["decay"]) == (2.0, 0.999)
        assert objective["selected"] == ("teacher" if deep else "student")
    quick = read_config(path, budget="quick")["training"]
    assert (quick["steps"], quick["batch_size"]) == (1500, 16), "systems are compared after equal steps"

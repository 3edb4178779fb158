"""The example of docs/features.md: an augmentation that one new file brings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from sedkit.core.errors import UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.features import augment, normalise
from sedkit.features.augment import Augmentations, AugmentSetup, augment_options
from sedkit.features.batch import StreamBatch
from sedkit.features.normalise import normalise_options

NAME = "sedkit.features.augment.gap"
SETUP = AugmentSetup(16000, TimeGrid(16000, 160), "db_power", 0, Path(), ("Dog",))


@pytest.fixture
def _example(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    augment._STEPS.names()
    text = (repository / "docs/features.md").read_text(encoding="utf-8").split("### Adding an augmentation")[1]
    (tmp_path / "gap.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    monkeypatch.setattr(augment, "__path__", [*augment.__path__, str(tmp_path)])
    monkeypatch.setattr(augment._STEPS, "_entries", dict(augment._STEPS._entries))
    yield
    sys.modules.pop(NAME)
    del augment.gap  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_example")
def test_the_step_of_the_page_masks_sounds_and_labels() -> None:
    ones = torch.ones(50, 300, 1)
    batch = StreamBatch(ones, torch.full((50,), 300), ones[:, 0], ones)
    section = {"gap": {"length_s": [1, 1], "probability": 0.5}}
    after = Augmentations.from_section(section, SETUP).on_features(batch, (0, 0, 3, 0))
    masked = after.features[:, :, 0] == -100
    # One second is 100 frames of 10 ms, in one piece; a clip is drawn or left as it is.
    assert set(masked.sum(1).tolist()) == {0, 100}
    assert masked.int().diff(dim=1).abs().sum(1).max() <= 2
    assert torch.equal(after.frame_target[:, :, 0] == 0, masked)
    assert torch.equal(after.clip_target, ones[:, 0])


@pytest.mark.usefixtures("_example")
def test_it_has_all_that_the_others_have() -> None:
    resolved = {"probability": 1.0, "length_s": [0.5, 2.0], "silence": -100.0}
    assert augment_options({"gap": None}, "augment") == {"gap": resolved}
    with pytest.raises(UsageError, match="augment.gap: unknown key 'lenght_s' .did you mean \"length_s\""):
        augment_options({"gap": {"lenght_s": [1, 2]}}, "augment")
    with pytest.raises(UsageError, match="augment.gap: probability is 0"):
        augment_options({"gap": {"probability": 0}}, "augment")


def test_the_tables_of_the_page_name_every_step_and_stage(repository: Path) -> None:
    text = (repository / "docs/features.md").read_text(encoding="utf-8").split("## Normalisation")[1]
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert rows == {*augment._STEPS.names(), *normalise._STAGES.names()}
    for block in text.split("```yaml\n")[1:]:
        for section in yaml.safe_load_all(block.split("```")[0]):
            for name, steps in section.items():
                check = {"normalise": normalise_options, "augment": augment_options}[name]
                assert list(check(steps, name)) == list(steps)


def test_options_are_read_without_torch() -> None:
    script = (
        "import sys\n"
        "from sedkit.features.augment import augment_options, sets_read\n"
        "from sedkit.features.normalise import normalise_options\n"
        "augment_options({'background': {'set': 'a', 'snr_db': [0, 1]}, 'mixup': {}}, 'augment')\n"
        "normalise_options({'zscore': {}, 'pad': {'value': 0}}, 'normalise')\n"
        "assert not {'torch', 'librosa', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

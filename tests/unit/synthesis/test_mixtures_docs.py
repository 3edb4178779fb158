"""docs/mixtures.md shows every key of the section `mix`, and a plan that can be read."""

import dataclasses
import re

from sedkit.synthesis.plan import MixSettings
from sedkit.synthesis.plan_file import read_plan

from .mix_case import table


def test_every_key_is_in_the_table(repository):
    text = (repository / "docs" / "mixtures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text.partition("## The plan")[0], re.M)
    keys = {key for row in rows for key in re.findall(r"\w+", row)}
    assert keys == {f.name for f in dataclasses.fields(MixSettings)} - {"onsets"}


def test_the_plan_shown_can_be_read(repository, tmp_path):
    text = (repository / "docs" / "mixtures.md").read_text(encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(re.search(r"```yaml\n(.*?)```", text, re.S)[1], encoding="utf-8")
    labels = ("Tambourine",)
    table(tmp_path / "verified", ["19f45b13.wav"], [0.72], None, None, labels, labels)
    table(tmp_path / "scenes", ["metro_station-barcelona-62-1861-a.wav"], [10.0], None, ("barcelona-62",))
    (mixture,) = read_plan(tmp_path / "plan.yaml").mixtures
    assert (mixture.fold, mixture.events[0].offset) == ("1", 1.22)

"""A recipe with a folder of its own, and the calls of `sedkit stage` on it."""

from __future__ import annotations

from pathlib import Path

import yaml

RECIPE = {
    "data_sets": {"desed": "."},
    "tuned": [
        {"set": "weak", "fold": "tune", "objective": "tagging", "labels": "weak.tsv"},
        {"set": "in/weaker", "fold": "tune", "objective": "event"},
    ],
    "predicted": ["in/validation", "public"],
    "reported": {"in/validation": ["test_a", "test_b"]},
    "presets": {"plain": 0.5},
    "score": {"metrics": ["segment"], "labels": "labels.txt", "bootstrap": 100},
}


class Place:
    """A recipe's folder, its data dirs and its experiments, in a folder whose name has a space."""

    def __init__(self, root: Path) -> None:
        self.recipe = root / "a recipe" / "recipe.yaml"
        self.data, self.exp = root / "data", root / "exp" / "recipe"
        (self.recipe.parent / "conf").mkdir(parents=True)
        (self.recipe.parent / "labels.txt").write_text("Cat\nDog\n")
        self.describe()

    def describe(self, **changes: object) -> None:
        self.recipe.write_text(yaml.safe_dump(RECIPE | changes, sort_keys=False))

    def system(self, name: str, **sections: object) -> None:
        path = self.recipe.parent / "conf" / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"system": name, **sections}))

    def set(self, name: str, folds: str = "train", table: str = "strong.tsv") -> Path:
        """Make a data dir of one clip, `test_b`, with an event."""
        folder = self.data / name
        folder.mkdir(parents=True)
        (folder / "clips.tsv").write_text(
            f"filename\taudio\tduration\tfold\tgroup\ntest_b\t/a/b.wav\t2.000\t{folds}\tg\n"
        )
        (folder / table).write_text("filename\tonset\toffset\tevent_label\ntest_b\t0.000\t1.000\tCat\n")
        return folder

    def call(self, name: str, *words: str, runs: tuple[str, ...] = ("one/seed0",)) -> list[str]:
        folders = [str(self.exp / run) for run in runs]
        given = ["stage", name, "--recipe", str(self.recipe), "--data", str(self.data), "--run", *folders]
        return [*given, "--dry-run", "false", *words]

"""`sedkit stage`: every call of one stage of a recipe, for one run or many, in one process."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from sedkit.cli._options import add_budget, add_flag, add_force, add_jobs
from sedkit.cli._recipe import name_of, read_recipe
from sedkit.cli._uses import Run, Uses
from sedkit.core.errors import UsageError, listed, suggest

#: Words of a call: of `sedkit`, or of `cp`.
Call = list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help=f"the stage: {', '.join(STAGES)}")
    parser.add_argument("--recipe", required=True, type=Path, metavar="RECIPE.yaml", help="the sets and their use")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of the recipe's data dirs")
    parser.add_argument(
        "--run",
        required=True,
        nargs="+",
        type=Path,
        metavar="EXP",
        help="experiments (.../SYSTEM/seed0); the one that fails does not stop the others",
    )
    add_budget(parser)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="predict: where networks run")
    add_flag(parser, "--energy", "predict: measure the energy, but for what is tuned on")
    add_jobs(parser)
    add_flag(parser, "--no-page", "score: write no page of the run, which takes some seconds")
    add_flag(parser, "--dry-run", "print the calls, as for sets all there")
    add_force(parser)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="features: keys of the systems'")


def run(args: argparse.Namespace) -> int:
    """Do the stage for each run; the status is that of the first call that failed."""
    if args.name not in STAGES:
        raise UsageError(f"stage {args.name!r}{suggest(args.name, STAGES)}, expected one of {listed(STAGES, 9)}")
    calls, taken = STAGES[args.name]
    for option in ("budget", "device", "energy", "jobs", "no_page", "overrides"):
        if getattr(args, option) and option not in taken:
            raise UsageError(f"stage {args.name} takes no {option}, got {getattr(args, option)}")
    recipe, stage = read_recipe(args.recipe), _Stage(args)
    failures = {}
    for experiment in args.run:
        one = Run(experiment)
        stage.open(one, recipe)
        for call in calls(stage, one):
            status = stage.perform(call)
            if status >= 128:
                return status
            if status:
                failures[str(experiment)] = status
                break
    if failures and len(args.run) > 1:
        print(f"{len(failures)} of {len(args.run)} runs failed: {' '.join(failures)}", file=sys.stderr)
    return next(iter(failures.values()), 0)


class _Stage(Uses):
    """The calls of the stages: what there is to do follows from the recipe and from what is on disk."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        self.forced = ["--force", "true"] if args.force else []
        self.jobs = ["--jobs", str(args.jobs)] if args.jobs else []
        self.extracted: list[tuple[Any, str]] = []

    def perform(self, call: Call) -> int:
        """Print a call so that it can be pasted, and run it here unless this is a dry run; return its status."""
        if self.args.dry_run:
            print(shlex.join(call))
            return 0
        print("+", shlex.join(call), file=sys.stderr, flush=True)
        program, *words = call
        if program == "cp":
            return _copied(*map(Path, words[-2:]))
        from sedkit.cli.main import main

        return main(words)

    def features(self, run: Run) -> Iterator[Call]:
        """Extract each set that systems with the same front end learn from or score once for all of them."""
        from sedkit.core.config import read_config, read_passes
        from sedkit.core.naming import naming_file
        from sedkit.features.frontends import frontend_from, frontends_from
        from sedkit.training.settings import RunSettings, features_read

        config = self.args.recipe.parent / "conf" / f"{run.system}.yaml"
        axes = [f"run.{field.name}={run.axes[field.name]}" for field in fields(RunSettings) if field.name in run.axes]
        budget, overrides = self.args.budget, self.args.overrides
        with naming_file(config, overrides, budget):
            ways = [None, *read_passes(config)]
            sections = [read_config(config, [*axes, *overrides], budget, way) for way in ways]
            frontend = frontend_from(sections[0].get("frontend"))
            frontends = (frontend, *frontends_from(sections[0].get("embeddings")).values())
            learnt = [name for section in sections for name in features_read(section.get("data"))]
        if not frontend.sliceable:
            print(
                f"{run.system}: features of each window on its own are computed where they are needed", file=sys.stderr
            )
            return
        recipe = self.recipe
        sets = [*learnt, *(tuned.set for tuned in recipe.tuned), *recipe.predicted, *recipe.tagged]
        for name in dict.fromkeys(sets):
            if self.has(name, "clips.tsv") and any((one, name) not in self.extracted for one in frontends):
                self.extracted += [(one, name) for one in frontends]
                given = ["sedkit", "extract", self.table(name), "--config", str(config)]
                given += ["--budget", budget] if budget else []
                yield [*given, *self.jobs, *self.forced, *overrides]

    def predict(self, run: Run) -> Iterator[Call]:
        """Score what is tuned on, the predicted sets, and windows of the reported ones."""
        device = ["--device", self.args.device] if self.args.device else []
        energy = ["--energy", "true"] if self.args.energy else []

        def call(name: str, out: str, *words: str) -> Call:
            given = ["sedkit", "predict", str(run.folder), self.table(name), *words]
            return [*given, "--out", run.path("scores", f"{out}.h5"), *device, *self.jobs, *self.forced]

        tuned = [] if run.split else [one for one in self.tuned(run) if self.tuning(one, run)]
        parts = ((one.set, self.tuning(one, run), self.tuned_scores(one)) for one in tuned if one.fold is not None)
        for name, folds, out in dict.fromkeys(parts):
            yield call(name, out, "--fold", folds)
        whole = [one.set for one in tuned if one.fold is None]
        for name in dict.fromkeys([*whole, *(self.recipe.tagged if run.of_pass else self.recipe.predicted)]):
            if self.has(name, "clips.tsv"):
                yield call(name, name_of(name), *self.held_out(name, run), *self.excerpts_of(name), *energy)
        for name in self.reported(run) if self.recipe.windows and not run.of_pass else ():
            yield call(name, self.windowed(name), "--windows", self.table(name, self.recipe.windows or ""))

    def tune(self, run: Run) -> Iterator[Call]:
        """Tune each objective in turn; a run trained on everything takes the rules of its split run.

        Where there is nothing to tune on, the first preset stands for the rules.
        """
        if run.split is not None:
            for rules in self.variants(run).values():
                yield ["cp", "--", str(run.split / Path(rules).name), rules]
            return
        if self.rules(run) != run.path("postprocessing.yaml"):
            print(f"{run.folder}: no clips to tune on; {self.rules(run)} stands", file=sys.stderr)
            return
        if not self.recipe.tuned:
            scores = run.path("scores", f"{name_of(self.recipe.predicted[0])}.h5")
            start = next(iter(self.presets.values()))
            yield ["sedkit", "tune", scores, "--start", start, "--out", self.rules(run), *self.forced]
            return
        labels = ["--labels", self.option(self.recipe.score["labels"])] if "labels" in self.recipe.score else []
        for name, rules in self.variants(run).items():
            start = ["--start", self.option(self.recipe.tuned_from[name])] if name else []
            for tuned in self.tuned(run):
                last = tuned is self.tuned(run)[-1]
                out = rules if last else str(Path(rules).with_suffix(f".{tuned.name}.yaml"))
                yield [
                    *("sedkit", "tune", run.path("scores", f"{self.tuned_scores(tuned)}.h5")),
                    *("--reference", self.table(tuned.set, tuned.labels), *labels, "--objective", tuned.objective),
                    *("--groups", self.table(tuned.set, "clips.tsv"), *self.gate(tuned.set, run), *start, "--out", out),
                    *self.forced,
                ]
                start = ["--start", out]

    def tag(self, run: Run) -> Iterator[Call]:
        """Write what a pass says that clips hold, a table a set: a gate, or labels for what comes after it."""
        for path in self.recipe.tagged:
            if self.has(path, "clips.tsv"):
                scores = run.path("scores", f"{name_of(path)}.h5")
                given = ["sedkit", "tag", scores, "--postprocessing", self.rules(run)]
                yield [*given, "--out", run.path("tags", f"{name_of(path)}.tsv"), *self.forced]

    def score(self, run: Run) -> Iterator[Call]:
        """Decode the predicted sets, score and print the reported ones."""

        def decode(scores: str, events: str, rules: str, *words: str) -> Call:
            given = ["sedkit", "decode", run.path("scores", f"{scores}.h5"), "--postprocessing", rules, *words]
            return [*given, "--out", run.path("events", f"{events}.tsv"), *self.jobs, *self.forced]

        for path in self.recipe.predicted:
            if self.has(path, "clips.tsv") and not self.tuned_whole(path):
                for variant, rules in self.variants(run).items():
                    events = f"{name_of(path)}.{variant}" if variant else name_of(path)
                    yield decode(name_of(path), events, rules, *self.gate(path, run), *self.points(run, path, events))
        for path in self.reported(run):
            name = name_of(path)
            # Where nothing is tuned, the first of them are the run's own.
            for preset, rules in list(self.presets.items())[not self.recipe.tuned :]:
                points = self.points(run, path, f"{name}.{preset}")
                yield decode(name, f"{name}.{preset}", rules, *self.gate(path, run), *points)
                if self.recipe.windows:
                    yield decode(self.windowed(path), f"{self.windowed(path)}.{preset}", rules)
                yield self.figures(run, path, f"{name}.{preset}", f"results/{name}.{preset}")
            for preset, rules in self.oracle.items():
                gate = ["--tags", self.table(path, "strong.tsv")]
                yield decode(name, f"{name}.{preset}", rules, *gate, *self.points(run, path, f"{name}.{preset}"))
                yield self.figures(run, path, f"{name}.{preset}", f"results/{name}.{preset}")
            if self.tuned_whole(path):
                continue
            for variant in filter(None, self.variants(run)):
                yield self.figures(run, path, f"{name}.{variant}", f"results/{name}.{variant}")
            yield self.figures(run, path, name, f"results/{name}", *self.masks(path, run))
            yield self.figures(run, path, name)
            for fold in self.recipe.reported[path]:
                if self.has_fold(path, fold):
                    yield self.figures(run, path, name, f"results/{fold}", *self.clips_of(path, fold))
        if self.shown(run) and self.recipe.report_clips and not self.args.no_page:
            yield self.report(run)

    def report(self, run: Run) -> Call:
        """Return the call that writes the page of a run: with sound of some clips, so that it takes seconds."""
        given = ["sedkit", "report", str(run.folder)]
        for path in self.shown(run):
            given += ["--data", self.table(path)]
        return [*given, "--clips", str(self.recipe.report_clips), *self.forced]

    def shown(self, run: Run) -> list[str]:
        """Return the reported sets that a page shows, which knows of no excerpts."""
        return [path for path in self.reported(run) if path not in self.recipe.excerpts]

    def points(self, run: Run, path: str, events: str) -> list[str]:
        """Return the words that decode a reported set at many thresholds, too, where the recipe asks for it."""
        if self.recipe.operating_points is None or path not in self.reported(run):
            return []
        thresholds = ["--operating-points", str(self.recipe.operating_points)]
        return ["--operating-points-out", run.path("points", events), *thresholds]

    def compare(self, run: Run) -> Iterator[Call]:
        """Hold the events of a run against those of the compared system's run of the same name, where that is there."""
        if self.recipe.compared is None:
            raise UsageError(f"{self.args.recipe}: names no system to compare with (compared: SYSTEM)")
        if run.folder.parent.name == self.recipe.compared:
            return
        for path in self.reported(run):
            tuned = [] if self.tuned_whole(path) else [name_of(path)]
            variants = filter(None, self.variants(run)) if tuned else ()
            for events in (*tuned, *(f"{name_of(path)}.{x}" for x in (*variants, *self.presets, *self.oracle))):
                other = run.folder.parent.parent / self.recipe.compared / run.folder.name / "events" / f"{events}.tsv"
                if self.args.dry_run or other.is_file():
                    yield self.figures(run, path, events, f"comparison/{events}", "--against", str(other))

    def figures(self, run: Run, path: str, events: str, out: str = "", *words: str) -> Call:
        """Return the call that scores a table of events into a file, or, without one, prints its figures."""
        clips = self.table(path, "clips.tsv")
        alone, written = "--against" not in words, bool(out)
        given = ["sedkit", "score", "--reference", self.table(path, "strong.tsv")]
        given += ["--estimate", run.path("events", f"{events}.tsv"), "--durations", clips]
        if alone:
            given += ["--scores", run.path("scores", f"{name_of(path)}.h5")]
            if self.recipe.operating_points is not None:
                given += ["--operating-points", run.path("points", events)]
        # What is printed is read by people, who find intervals in the file.
        left_out = {"baselines"} if not alone else set() if written else {"bootstrap"}
        options = self.recipe.score | self.recipe.score_of.get(path, {})
        left_out |= {option for option, value in options.items() if value is None}
        for option, value in options.items():
            if option not in left_out and f"--{option}" not in words:
                given += [f"--{option.replace('_', '-')}", self.option(value)]
        if "--fold" not in words and (folds := self.held_out(path, run)):
            given += self.clips_of(path, folds[1])
        if written:
            groups = ["--groups", clips] if options.get("bootstrap") else []
            given += [*groups, "--json", run.path(f"{out}.json"), *self.forced]
        return [*given, *words]

    def masks(self, path: str, run: Run) -> list[str]:
        """Return the words that score a network's masks, too, where the recipe asks for it."""
        if not self.recipe.masks:
            return []
        metrics = self.option([*self.recipe.score.get("metrics", ()), *self.recipe.masks])
        return ["--metrics", metrics, "--experiment", str(run.folder), "--mixtures", self.table(path)]


def _copied(source: Path, target: Path) -> int:
    from sedkit.cli.main import guarded
    from sedkit.core.files import read_text, write_text

    def copy() -> int:
        text = read_text(source)
        if not target.is_file() or read_text(target) != text:
            write_text(target, text)
        return 0

    return guarded("cp", copy)


#: Stage -> its calls, and the options that it takes.
STAGES: dict[str, tuple[Callable[[_Stage, Run], Iterator[Call]], tuple[str, ...]]] = {
    "features": (_Stage.features, ("budget", "jobs", "overrides")),
    "predict": (_Stage.predict, ("device", "energy", "jobs")),
    "tune": (_Stage.tune, ()),
    "tag": (_Stage.tag, ()),
    "score": (_Stage.score, ("jobs", "no_page")),
    "compare": (_Stage.compare, ()),
}

"""A training run and its folder: config.yaml, environment.json, metrics.jsonl, checkpoints/{last,best}.pt, run.sh."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from typing import Any

import torch

from sedkit.core.errors import SedkitError, listed
from sedkit.core.files import write_json
from sedkit.core.log import log
from sedkit.dataio.datadir import DataDir
from sedkit.datasets.maps import load_classes
from sedkit.features.normalise import Normalisation
from sedkit.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sedkit.models.output import SedModel
from sedkit.models.precision import choose_device, choose_precision
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.weights import load_weights
from sedkit.objectives.registry import build_objective, resolve_objective
from sedkit.objectives.schedules import build_schedule, resolve_schedule
from sedkit.postprocessing import read_postprocessing
from sedkit.training.batches import Batches, shares
from sedkit.training.checking import check_embeddings, check_networks
from sedkit.training.distributed import ALONE, Ranks
from sedkit.training.evaluations import Evaluations, described
from sedkit.training.groups import freeze, parameter_groups
from sedkit.training.loop import Loop
from sedkit.training.optimisers import build_optimiser, resolve_optimiser
from sedkit.training.plan import Plan
from sedkit.training.records import cut_metrics, write_records
from sedkit.training.selection import check_figures
from sedkit.training.streams import Stream, StreamReader


class Experiment:
    """One run: reads the data, trains, keeps the folder.

    Parameters
    ----------
    plan
        What is trained, on what, where (made by `sedkit.training.plan`).
    ranks
        The processes that train together, each with an experiment of its own; the first one keeps the folder.
    """

    def __init__(self, plan: Plan, ranks: Ranks = ALONE) -> None:
        self.plan, self.ranks = plan, ranks
        self.settings = plan.training
        self.device = choose_device(self.settings.device)
        self.dtype = choose_precision(self.settings.precision, self.device)
        self.started = time.monotonic()
        if self.settings.deterministic:
            # Read by cuBLAS when it starts; see torch.use_deterministic_algorithms.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
            torch.utils.deterministic.fill_uninitialized_memory = False
        # cuDNN would choose its algorithms, and with them the last digits, by timing them.
        torch.backends.cudnn.benchmark = False
        torch.manual_seed(self.settings.seed)

        self._read_streams()
        sections = plan.config
        self.network = self._new_network()
        check_embeddings(self.network, plan.embeddings)
        if self.settings.weights:
            load_weights(self.network, self.settings.weights)
        self.objective = build_objective(sections["objective"])
        check_networks(self.objective, sections, plan.selection)
        self.normalise = Normalisation.from_section(sections.get("normalise"), plan.frontend.n_bins)
        schedule = sections.get("schedule") or {"name": "constant"}
        self.schedule = build_schedule(schedule)
        freeze(self.network, self.settings.freeze)
        optimiser = resolve_optimiser(sections["optimiser"])
        self.optimiser = build_optimiser(optimiser, parameter_groups(optimiser, self.network))
        check_figures(plan.selection.figures.values())
        check_figures(plan.data.draw_figures, "data.draw_figures")
        read_postprocessing(plan.selection.postprocessing, self.labels.labels)
        self.run_info = plan.run_info()
        self.config = {
            **sections,
            **({} if plan.mix is None else {"mix": asdict(plan.mix)}),
            "data": asdict(plan.data),
            "normalise": self.normalise.resolved(),
            "model": resolve_model(sections["model"]),
            "objective": resolve_objective(sections["objective"]),
            "optimiser": optimiser,
            "schedule": resolve_schedule(schedule),
            "selection": asdict(plan.selection),
            "training": asdict(self.settings),
        }

    def _new_network(self) -> SedModel:
        network = build_model(self.plan.config["model"], len(self.labels), self.plan.frontend.n_bins)
        if self.settings.sync_batch_norm:
            self.ranks.synchronise_norms(network)
        return network.to(device=self.device, memory_format=torch.channels_last)

    def _read_streams(self) -> None:
        """Read what is trained on, selected on and drawn; no clip may be on two of these sides."""
        plan, sets = self.plan, self.plan.sets
        classes = load_classes(plan.data.classes) if plan.data.classes else None
        reader = StreamReader(plan.data_root, plan.frontend, self.settings.seed, plan.mix, classes, plan.embeddings)
        sides: dict[str, dict[str, Stream]] = {"streams": {}, "select": {}}
        for place, (key, settings) in enumerate(sets.streams):
            _, side, name = key.split(".", 2)
            sides[side][name] = reader.read(key, place, settings, sets.of(settings, key), sets.folds(settings, key))
        self.streams, self.select = sides["streams"], sides["select"]
        plain = replace(next(iter(plan.data.streams.values())), source="features", augment={}, views={})
        # Where each set has classes of its own, the first stream's map is no map of theirs.
        plain = replace(plain, labels=replace(plain.labels, map=None)) if plan.data.classes else plain
        # Figures of events want events, even where tags are trained on.
        framed = replace(plain, labels=replace(plain.labels, target="frame"))
        asked = plan.data.draw_figures and plan.frontend.sliceable
        with_events = {name for name in sets.drawn if asked and DataDir(plan.data_root / name).has_strong}
        self.draw = {
            name: reader.read(name, 0, framed if name in with_events else plain, [name], None) for name in sets.drawn
        }
        assert reader.labels is not None
        self.labels = reader.labels
        for name, selected in self.select.items():
            for other, stream in self.streams.items():
                both = selected.clips() & stream.clips()
                if both:
                    raise SedkitError(
                        f"data.select.{name} holds {len(both)} clips of data.streams.{other}, such as {min(both)[1]}; "
                        "give them different folds"
                    )

    def run(self, resume: bool) -> None:
        """Train to the end, going on from `last.pt` if it is of this very run."""
        settings, folder = self.settings, self.plan.folder
        last = self._last() if resume else None
        self.resumed = last is not None
        if last is not None:
            self.normalise = last.normalisation()
        else:
            self.normalise.fit(lambda: (block for stream in self.streams.values() for block in stream.blocks()))
        self.normalise = self.normalise.to(self.device)
        self.evaluations = Evaluations(
            self.plan, self.objective, self.network, self.select, self.draw, self.normalise, self.dtype, self.labels
        )
        counts = shares(self.plan.sets.trained, settings.batch_size)
        loop = self.loop = Loop(
            self.network,
            self.objective,
            Batches(self.streams, counts, settings.seed, self.normalise, self.device, settings.resident, self.ranks),
            settings,
            self.dtype,
            self._evaluate,
            self._save,
            self.optimiser,
            self.schedule,
            settings.seed,
            self._new_network,
            self.ranks,
        )
        self.elapsed_before = 0.0
        if last is not None:
            for name, network in self.objective.networks(self.network).items():
                network.load_state_dict(last.networks[name])
            loop.load_state_dict(last.training["loop"])
            if self.ranks.first:
                self.elapsed_before = cut_metrics(folder / "metrics.jsonl", loop.progress.step)
            log.info("train: going on after step %d of %d", loop.progress.step, settings.steps)
        elif self.ranks.first:
            for name in ("checkpoints/last.pt", "checkpoints/best.pt", "metrics.jsonl", "summary.json"):
                (folder / name).unlink(missing_ok=True)
        sizes = ", ".join(
            f"{name} {len(s)} windows ({counts[name] * settings.accumulate} a step)" for name, s in self.streams.items()
        )
        log.info(
            "train: %s on %s; %s; %d parameters%s, %s on %s",
            self.plan.title,
            sizes,
            f"selected on {listed(f'{n} ({len(s)} windows)' for n, s in self.select.items())}"
            if self.select
            else "last step kept",
            sum(p.numel() for p in self.network.parameters()),
            f" ({sum(p.numel() for p in self.network.parameters() if not p.requires_grad)} frozen)"
            if settings.freeze
            else "",
            "bf16" if self.dtype == torch.bfloat16 else "fp32",
            self.device.type,
        )
        if self.ranks.first:
            write_records(self)
        loop.run()
        if not self.select:
            self._write("best.pt")
        if self.ranks.first:
            self._summarise()

    def _summarise(self) -> None:
        settings, now = self.settings, self.loop.progress
        write_json(
            self.plan.folder / "summary.json",
            {
                "steps": settings.steps,
                "best_step": now.best_step if self.select else now.step,
                "best": now.best,
                "selection": asdict(self.plan.selection) if self.select else None,
                "elapsed_s": round(self.elapsed_before + time.monotonic() - self.started, 1),
            },
        )

    def _last(self) -> Checkpoint | None:
        path = self.plan.folder / "checkpoints" / "last.pt"
        if not path.is_file():
            return None
        try:
            last = read_checkpoint(path)
            if last.training.get("key") != self.plan.key:
                log.info("train: %s is of another configuration or other data: starting anew", path)
                return None
            if last.training["loop"]["progress"]["best"] is not None:
                read_checkpoint(path.with_name("best.pt"))
        except SedkitError as error:
            # Removed, cut off by a file system that fell over, of another version: there is nothing to go on from.
            log.warning("train: %s: starting anew", error)
            return None
        return last

    def _evaluate(self, record: dict[str, Any]) -> None:
        if self.ranks.told(self.ranks.first and self.evaluations.complete(record, self.loop.progress)):
            self._write("best.pt")
        if not self.ranks.first:
            return
        record["elapsed_s"] = round(self.elapsed_before + time.monotonic() - self.started, 1)
        with open(self.plan.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        log.info("train: %s", described(record))

    def _save(self) -> None:
        self._write("last.pt")

    def _write(self, file: str) -> None:
        networks: dict[str, SedModel] = self.objective.networks(self.network)
        # Every process has a part in it.
        state = self.loop.state_dict()
        if not self.ranks.first:
            return
        checkpoint = Checkpoint(
            model=self.config["model"],
            labels=self.labels,
            frontend=self.plan.frontend.as_dict(),
            frontend_hash=self.plan.frontend.hash8,
            embeddings={name: frontend.as_dict() for name, frontend in self.plan.embeddings.items()},
            window=max(stream.length for stream in self.streams.values()),
            normalise=self.config["normalise"],
            fitted=self.normalise.state_dict(),
            networks={name: network.state_dict() for name, network in networks.items()},
            selected=next(iter(networks)),
            step=self.loop.progress.step,
            run=self.run_info,
            config=self.config,
            training={"key": self.plan.key, "loop": state},
        )
        write_checkpoint(self.plan.folder / "checkpoints" / file, checkpoint)

"""A training run and its folder: config.yaml, environment.json, metrics.jsonl, checkpoints/{last,best}.pt, run.sh."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import sedkit
from sedkit.core.errors import SedkitError, listed
from sedkit.core.files import write_json, write_text, write_yaml
from sedkit.core.log import log
from sedkit.core.vocabulary import Vocabulary
from sedkit.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sedkit.models.output import SedModel
from sedkit.models.precision import choose_device, choose_precision, describe_device
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.scaler import fit_scaler, no_scaler
from sedkit.models.weights import load_weights
from sedkit.objectives.registry import build_objective, resolve_objective
from sedkit.training.batches import Batches, Stream, load_source, shares
from sedkit.training.chunks import load_chunk_stream
from sedkit.training.loop import Loop
from sedkit.training.plan import Plan
from sedkit.training.run_script import run_script
from sedkit.training.settings import StreamSettings, settings_dict
from sedkit.training.validate import evaluate


class Experiment:
    """One run: reads the data, trains, keeps the folder.

    Parameters
    ----------
    plan
        What is trained, on what, where (made by `sedkit.training.plan`).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
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

        self.labels: Vocabulary | None = None
        self.streams = {name: self._stream(name, s, training=True) for name, s in plan.data.streams.items()}
        self.select = {}
        if self.settings.train_on == "split":
            self.select = {name: self._stream(name, s) for name, s in plan.data.select.items()}
        self.draw = {
            name: self._stream(name, StreamSettings(name, target="clip"))
            for name in plan.data.draw
            if plan.has_set(name) and not (name == "validation" and self.settings.train_on == "all+validation")
        }
        assert self.labels is not None
        self._check_apart()
        self.network = build_model(plan.sections["model"], len(self.labels), plan.frontend.n_bins)
        if self.settings.weights:
            load_weights(self.network, self.settings.weights)
        self.network.to(device=self.device, memory_format=torch.channels_last)
        self.objective = build_objective(plan.sections["objective"])
        self.run_info = plan.run_info()
        self.config = {
            **plan.config,
            **settings_dict(plan.data, self.settings),
            "model": resolve_model(plan.sections["model"]),
            "objective": resolve_objective(plan.sections["objective"]),
        }

    def _stream(self, name: str, settings: StreamSettings, training: bool = False) -> Stream:
        sets, folds = [settings.set], settings.folds
        if training and self.settings.train_on != "split":
            folds = None
            if self.settings.train_on == "all+validation" and settings.target != "none":
                sets.append("validation")
        if settings.chunks is not None:
            stream, labels = load_chunk_stream(
                name,
                self.plan.data_root,
                settings,
                folds,
                self.plan.frontend,
                self.plan.feature_paths.get(settings.set),
                self.labels,
            )
            self.labels = self.labels or labels
            return stream
        sources = []
        for part in sets:
            target = settings.target
            source, labels = load_source(
                self.plan.data_root / part, self.plan.features(part), target, folds, self.labels
            )
            self.labels = self.labels or labels
            sources.append(source)
        return Stream(name, sources)

    def _check_apart(self) -> None:
        """Refuse a run whose selection part holds clips that it trains on."""
        for name, selected in self.select.items():
            for other, stream in self.streams.items():
                both = selected.clip_keys() & stream.clip_keys()
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
            scaler = last.scaler
        elif settings.scaler == "none":
            scaler = no_scaler(self.plan.frontend.n_bins)
        else:
            scaler = fit_scaler(block for stream in self.streams.values() for block in stream.blocks())
        self.scaler = scaler
        counts = shares(self.plan.data.streams, settings.batch_size)
        self.batches = Batches(self.streams, counts, settings.seed, scaler, self.device)
        loop = self.loop = Loop(
            self.network, self.objective, self.batches, settings, self.dtype, self._evaluate, self._save
        )
        self.elapsed_before = 0.0
        if last is not None:
            for name, network in self.objective.networks(self.network).items():
                network.load_state_dict(last.networks[name])
            loop.load_state_dict(last.training["loop"])
            self.elapsed_before = self._cut_metrics(loop.progress.step)
            log.info("train: going on after step %d of %d", loop.progress.step, settings.steps)
        else:
            for name in ("checkpoints/last.pt", "checkpoints/best.pt", "metrics.jsonl", "summary.json"):
                (folder / name).unlink(missing_ok=True)
        sizes = ", ".join(f"{name} {len(s)} clips ({counts[name]} a step)" for name, s in self.streams.items())
        log.info(
            "train: %s on %s; %s; %d parameters, %s on %s",
            self.plan.title,
            sizes,
            f"selected on {listed(f'{n} ({len(s)} clips)' for n, s in self.select.items())}"
            if self.select
            else "last step kept",
            sum(p.numel() for p in self.network.parameters()),
            "bf16" if self.dtype == torch.bfloat16 else "fp32",
            self.device.type,
        )
        self._write_records()
        loop.run()
        if not self.select:
            self._write("best.pt")
        now = loop.progress
        write_json(
            folder / "summary.json",
            {
                "steps": settings.steps,
                "best_step": now.best_step if self.select else now.step,
                "best": now.best,
                "select_by": settings.select_by if self.select else None,
                "lr_every": settings.lr_every,
                "elapsed_s": round(self.elapsed_before + time.monotonic() - self.started, 1),
            },
        )

    def _last(self) -> Checkpoint | None:
        path = self.plan.folder / "checkpoints" / "last.pt"
        if not path.is_file():
            return None
        last = read_checkpoint(path)
        if last.training.get("key") != self.plan.key:
            log.info("train: %s is of another configuration or other data: starting anew", path)
            return None
        chosen = last.training["loop"]["progress"]["best"] is not None
        if chosen and not path.with_name("best.pt").is_file():
            log.info("train: %s is gone: starting anew", path.with_name("best.pt"))
            return None
        return last

    def _cut_metrics(self, step: int) -> float:
        """Drop the records after `step` (written by a run that ended before its checkpoint); return seconds so far."""
        path = self.plan.folder / "metrics.jsonl"
        records = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record["step"] <= step:
                records.append(record)
        write_text(path, "".join(json.dumps(record) + "\n" for record in records))
        return float(records[-1]["elapsed_s"]) if records else 0.0

    def _evaluate(self, record: dict[str, Any]) -> None:
        settings, now = self.settings, self.loop.progress
        batch_size = max(settings.batch_size, 16)
        figures: dict[str, float] = {}
        for part in ("select", "draw"):
            record[part] = {}
            for name, network in self.objective.networks(self.network).items():
                record[part][name] = {
                    key: evaluate(
                        network,
                        stream,
                        self.scaler,
                        self.dtype,
                        batch_size,
                        self.plan.data.draw_clips if part == "draw" else None,
                    )
                    for key, stream in getattr(self, part).items()
                }
        for name, by_stream in record["select"].items():
            if settings.select_by == "last":
                figures[name] = float(now.step)
                continue
            values = [row[settings.select_by] for row in by_stream.values() if settings.select_by in row]
            if self.select and len(values) < len(by_stream):
                raise SedkitError(
                    f"training.select_by is {settings.select_by}, which data.select ({listed(by_stream)}) does not "
                    "give: no clip of it has labels, or the target is another"
                )
            if values:
                figures[name] = float(np.mean(values)) * (-1.0 if settings.select_by == "loss" else 1.0)
        if figures:
            name = max(figures, key=lambda n: figures[n])
            if now.best is None or figures[name] > now.best:
                now.best, now.best_step = figures[name], now.step
                record["best"] = name
                self._write("best.pt", name)
        record["elapsed_s"] = round(self.elapsed_before + time.monotonic() - self.started, 1)
        with open(self.plan.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        shown = [f"loss {record['train'].get('loss', float('nan')):.4f}"]
        shown += [
            f"{part} {key} {figure} {value:.3f}"
            for part in ("select", "draw")
            for name, by_stream in record[part].items()
            for key, row in by_stream.items()
            for figure, value in row.items()
            if figure != "loss"
        ]
        log.info("train: step %d: %s%s", now.step, ", ".join(shown), " (best)" if "best" in record else "")

    def _save(self) -> None:
        self._write("last.pt")

    def _write(self, file: str, selected: str | None = None) -> None:
        assert self.labels is not None
        networks: dict[str, SedModel] = self.objective.networks(self.network)
        checkpoint = Checkpoint(
            model=self.config["model"],
            labels=self.labels,
            frontend=self.plan.frontend.as_dict(),
            frontend_hash=self.plan.frontend.hash8,
            grid=self.plan.frontend.grid,
            n_bins=self.plan.frontend.n_bins,
            scaler=self.scaler,
            networks={name: network.state_dict() for name, network in networks.items()},
            selected=selected or next(iter(networks)),
            step=self.loop.progress.step,
            run=self.run_info,
            config=self.config,
            training={"key": self.plan.key, "loop": self.loop.state_dict()},
        )
        write_checkpoint(self.plan.folder / "checkpoints" / file, checkpoint)

    def _write_records(self) -> None:
        folder, plan = self.plan.folder, self.plan
        # The budget is applied; its name stays, for the record of a run from here.
        write_yaml(folder / "config.yaml", plan.config | ({"budgets": {plan.budget: {}}} if plan.budget else {}))
        write_json(
            folder / "environment.json",
            {
                "run": self.run_info,
                "data": str(plan.data_root.resolve()),
                "place": str(folder.resolve()),
                "inputs": plan.inputs_hash,
                "features": {name: str(path) for name, path in sorted(plan.feature_paths.items())},
                "clips": {
                    part: {name: len(s) for name, s in streams.items()}
                    for part, streams in (("streams", self.streams), ("select", self.select), ("draw", self.draw))
                },
                "parameters": sum(p.numel() for p in self.network.parameters()),
                "precision": "bf16" if self.dtype == torch.bfloat16 else "fp32",
                "commit": _commit(),
                "versions": {
                    "sedkit": sedkit.__version__,
                    "python": platform.python_version(),
                    "torch": torch.__version__,
                    "numpy": np.__version__,
                },
                "hardware": describe_device(self.device),
                "budget": plan.budget,
                "split_run": str(plan.split_run.resolve()) if plan.split_run else None,
                "resolved": self.config,
            },
        )
        write_text(folder / "run.sh", run_script(plan))
        (folder / "run.sh").chmod(0o755)


def _commit() -> str | None:
    """Return the commit of the checkout that sedkit runs from, None outside one."""
    here = Path(sedkit.__file__).resolve().parents[1]
    try:
        out = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return out.stdout.strip() if out.returncode == 0 else None

"""What the organisers' scripts of 2020 and 2024 do with a package, in a few lines each: an oracle for what is refused.

Written after the scripts (their sources are named in `sedkit/submission/formats`); opening output tables is left out.
"""

from __future__ import annotations

from typing import Any

import yaml

Files = dict[str, bytes]

_STOPPED = (AssertionError, AttributeError, KeyError, TypeError, ValueError, IndexError, yaml.YAMLError)


def stops(year: int, files: Files) -> bool:
    """Whether the script of a year turns a package away."""
    try:
        {2020: _look_2020, 2024: _look_2024}[year](files)
        assert any(name.endswith(".pdf") and "/" not in name for name in files)
    except _STOPPED:
        return True
    return False


def _look_2020(files: Files) -> None:
    for name, data in files.items():
        file = name.partition("/")[2]
        if file.endswith(".yaml") and "/" not in file and not file.startswith("."):
            meta = _load(data)
            _look_names(meta, ("Turpault_INR_task4_SED_1", "Wisdom_GOO_task4_SS_1"))
            for system, results in (("system", "results"), ("sed_system", "sed_results")):
                if meta.get(system) is not None:
                    _look_system(meta[system])
                    development = meta[results]["development_dataset"]
                    _number(development["overall"]["F-score"])
                    for label in development["class_wise"]:
                        _number(development["class_wise"][label]["F-score"])
            if meta.get("ss_system") is not None:
                count = meta["ss_system"]["ensemble_method_subsystem_count"]
                assert count is None or isinstance(count, int | float)
                assert not str(meta["ss_system"]["source_code"]).endswith("dcase2020_fuss_baseline")
                for figures in meta["ss_results"].values():
                    for figure in figures:
                        _number(figures[figure])


def _look_2024(files: Files) -> None:
    folders = sorted({name.partition("/")[0] for name in files if "/" in name})
    assert 0 < len(folders) <= 8
    for folder in folders:
        assert folder.count("_") == 3
        meta = _load(files[f"{folder}/{folder}.meta.yaml"])
        assert meta["submission"]["label"] == folder.split(".")[0]
        _look_names(meta, ("Cornell_CMU_task4_1",))
        _look_system(meta["system"])
        assert isinstance(meta["results"]["devtest"]["desed"]["PSDS1"], float)
        assert isinstance(meta["results"]["devtest"]["maestro"]["mPAUC"], float)
        for run in (1, 2, 3):
            assert any(name.startswith(f"{folder}/{folder}_run{run}.output/") for name in files)


def _load(data: bytes) -> Any:
    text = "\n".join(line.split("#")[0].rstrip() for line in data.decode().split("\n"))
    # As `safe_load`, which the scripts call, and quicker.
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _look_names(meta: Any, examples: tuple[str, ...]) -> None:
    submission = meta["submission"]
    assert submission["label"] not in examples
    assert not any("baseline" in submission[key].lower() for key in ("label", "name", "abbreviation"))
    answers = []
    for author in submission["authors"]:
        answers.append(author.get("corresponding"))
        assert author.get("firstname") is not None
        assert author.get("lastname") is not None
    assert any(answer is not None for answer in answers)


def _look_system(system: Any) -> None:
    _number(system["description"]["input_sampling_rate"])
    features = system["description"]["acoustic_features"]
    for feature in features if isinstance(features, list) else [] if features is None else [features]:
        assert isinstance(feature, str)
    assert isinstance(system["complexity"]["total_parameters"], int)
    assert system["source_code"] != "https://github.com/turpaultn/dcase20_task4/tree/public_branch/baseline"


def _number(value: Any) -> None:
    assert isinstance(value, int | float)

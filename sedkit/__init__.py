"""sedkit: from a sound event detection data set to a checked DCASE challenge submission."""

from typing import Any

__version__ = "0.1.0"


def load(experiment: Any, postprocessing: Any = None, **options: Any) -> Any:
    """Open a trained system for any recording.

    Parameters
    ----------
    experiment
        An experiment's folder, or a checkpoint file.
    postprocessing
        A file of rules, a preset's name or one threshold; None: those that the experiment was tuned to.
    options
        Others of `sedkit.inference.detector.Detector.open`: checkpoint, network, device, precision, window_s, hop_s.

    Returns
    -------
    A `Detector`: `labels`, `detect(path_or_array, sample_rate)` and `scores(path_or_array, sample_rate)`.
    """
    # Found by name when it is asked for: `import sedkit` loads no room, and no room depends on another through here.
    import importlib

    return importlib.import_module("sedkit.inference.detector").Detector.open(experiment, postprocessing, **options)

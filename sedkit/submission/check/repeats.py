"""Events of a table that stand twice or overlap within their class."""

from __future__ import annotations

import numpy as np


def repeats(
    clip: np.ndarray, label: np.ndarray, onset_s: np.ndarray, offset_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which events, sorted by clip, class and time, are the one before, and which overlap an earlier one.

    Both are (n_events - 1,), of the second event and those after it.
    """
    import pandas as pd

    if not len(clip):
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    same = (clip[1:] == clip[:-1]) & (label[1:] == label[:-1])
    twin = same & (onset_s[1:] == onset_s[:-1]) & (offset_s[1:] == offset_s[:-1])
    group = np.concatenate([[0], np.cumsum(~same)])
    furthest = pd.Series(offset_s).groupby(group).cummax().to_numpy()[:-1]
    return twin, same & ~twin & (onset_s[1:] < furthest)

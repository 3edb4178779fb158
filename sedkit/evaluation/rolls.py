"""Which segments of a clip are active, counted for both tables at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from sedkit.core.compiled import compiled


@compiled()
def _fill(roll: Any, n_segments: int, label: Any, onset: Any, offset: Any, segment_s: float) -> None:
    # The roll is longer than this table's `n_segments`: a negative time counts from their end, as an array slice does.
    for i in range(len(label)):
        start = int(np.floor(onset[i] / segment_s))
        stop = int(np.ceil(offset[i] / segment_s))
        if start < 0:
            start = max(start + n_segments, 0)
        if stop < 0:
            stop = max(stop + n_segments, 0)
        for k in range(start, min(stop, n_segments)):
            roll[k, label[i]] = 1


@compiled()
def _length(offset: Any, segment_s: float) -> int:
    """Return how many segments a table's events of a clip reach over."""
    last = 0.0
    for end in offset:
        last = max(last, end)
    return int(np.ceil(last / segment_s))


@compiled()
def count_rolls(
    references: Any, estimates: Any, segment_s: float, n_ref: Any, n_est: Any, n_tp: Any, errors: Any
) -> None:
    """Add up active segments of reference, estimate and both, (clips, classes), and errors (clips, 3).

    References and estimates are `counts.Grouped`.
    """
    (r_first, r_label, r_on, r_off), (e_first, e_label, e_on, e_off) = references, estimates
    n_classes = n_ref.shape[1]
    for clip in range(len(r_first) - 1):
        r0, r1, e0, e1 = r_first[clip], r_first[clip + 1], e_first[clip], e_first[clip + 1]
        r_length, e_length = _length(r_off[r0:r1], segment_s), _length(e_off[e0:e1], segment_s)
        n = max(r_length, e_length)
        r_roll = np.zeros((n, n_classes), np.uint8)
        e_roll = np.zeros((n, n_classes), np.uint8)
        _fill(r_roll, r_length, r_label[r0:r1], r_on[r0:r1], r_off[r0:r1], segment_s)
        _fill(e_roll, e_length, e_label[e0:e1], e_on[e0:e1], e_off[e0:e1], segment_s)
        for k in range(n):
            ref = est = both = 0
            for c in range(n_classes):
                a, b = r_roll[k, c], e_roll[k, c]
                n_ref[clip, c] += a
                n_est[clip, c] += b
                n_tp[clip, c] += a & b
                ref += a
                est += b
                both += a & b
            errors[clip, 0] += min(ref, est) - both
            errors[clip, 1] += max(0, ref - est)
            errors[clip, 2] += max(0, est - ref)

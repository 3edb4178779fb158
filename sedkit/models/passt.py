"""PaSST (Koutini et al., arXiv 2110.05069) and fPaSST, of frames (arXiv 2409.09546), under the authors' key names."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.deit import Deit, DeitTagger
from sedkit.models.registry import register, register_body
from sedkit.models.sizes import FpasstOptions, PasstOptions
from sedkit.models.weights import below_prefix, without_other_classes

_CLASSIFIER = ("head.", "head_dist.")


class Places(Deit):
    """Places of PaSST: one vector for each token of the clip, each row and each column; a patch has the sum of two.

    Keys `new_pos_embed`, `freq_new_pos_embed`, `time_new_pos_embed`.
    """

    def __init__(self, options: PasstOptions | FpasstOptions, rows: int, stride: int, overlap: int) -> None:
        super().__init__(options)
        self.rows, self.step_frames, self.overlap = rows, stride, overlap
        # What is left behind the last column is not seen.
        self.most_frames = (options.positions + 1) * stride + overlap - 1
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, options.width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, options.width, rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, options.width, 1, options.positions))
        for parameter in self.parameters(recurse=False):
            nn.init.trunc_normal_(parameter, std=0.02)

    @abstractmethod
    def patches(self, x: Tensor) -> Tensor:
        """Return the patches, (batch, frames, bins) to (batch, width, rows, columns)."""

    def tokens(self, x: Tensor, n_frames: Tensor | None = None) -> Tensor:
        if x.shape[1] < self.step_frames + self.overlap:
            raise SedkitError(
                f"{x.shape[1]} frames, expected at least {self.step_frames + self.overlap}, those of a patch"
            )
        if x.shape[1] > self.most_frames:
            raise SedkitError(f"{x.shape[1]} frames, expected at most {self.most_frames}, which the network knows")
        patches, seen = self.patches(x), None
        columns = patches.shape[3]
        if n_frames is not None:
            filled = ((n_frames - self.overlap) // self.step_frames).clamp(min=1)
            seen = torch.arange(columns, device=x.device) < filled[:, None]
        grid = self.freq_new_pos_embed + self.time_new_pos_embed[..., :columns]
        places = torch.cat([self.new_pos_embed, grid.flatten(2).transpose(1, 2)], dim=1)
        return self.encode(patches, places, seen)

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the network below any prefix, without a classifier where it has none, or of other classes."""
        return without_other_classes(self, below_prefix(state, "new_pos_embed"), _CLASSIFIER)


class Passt(Places):
    """Patches of 16 frames and 16 bins every 10; a shorter recording has the first places in time.

    What the published code does in training alone (patches left out, places from anywhere in time) is not done.
    """

    def __init__(self, options: PasstOptions, n_bins: int) -> None:
        if n_bins < options.patch:
            raise UsageError(f"the front end gives {n_bins} bins, expected at least the patches' {options.patch}")
        super().__init__(options, options.patches(n_bins), options.stride, options.overlap)
        patches = nn.Conv2d(1, options.width, options.patch, stride=options.stride)
        self.patch_embed = nn.Sequential(OrderedDict(proj=patches))

    def patches(self, x: Tensor) -> Tensor:
        out: Tensor = self.patch_embed(x[:, None].transpose(2, 3))
        return out


class Fpasst(Places):
    """Three convolutions that halve frames and bins twice, then a token for each step of 4 frames."""

    def __init__(self, options: FpasstOptions, n_bins: int) -> None:
        super().__init__(options, rows=1, stride=4, overlap=0)
        self.conv_in_1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.conv_in_2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv_in_3 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        # 64 channels of a quarter of the bins are taken for 16 channels of all bins.
        self.n_bins = n_bins
        patches = nn.Conv2d(16, options.width, (n_bins, 2), padding=(0, 1))
        self.patch_embed = nn.Sequential(OrderedDict(proj=patches))

    def patches(self, x: Tensor) -> Tensor:
        whole = x.shape[1] // self.step_frames * self.step_frames
        x = x[:, None, :whole].transpose(2, 3)
        for convolution in (self.conv_in_1, self.conv_in_2, self.conv_in_3):
            x = F.gelu(convolution(x))
        # A kernel of two columns, padded by one on each side, gives one more than there are; the first is not used.
        return self.patch_embed(x.reshape(x.shape[0], 16, self.n_bins, -1))[..., 1:]


class PasstTagger(Passt, DeitTagger):
    """PaSST with its classifier (`head`); `head_dist` is in the authors' files and is not used, as in their code.

    What a recording does not fill is not seen, as if it stood alone.
    """

    def __init__(self, n_classes: int, n_bins: int, options: PasstOptions) -> None:
        super().__init__(options, n_bins)
        self.add_head(options, n_classes, eps=1e-5)
        self.head_dist = nn.Linear(options.width, n_classes)


register("passt", PasstOptions)(PasstTagger)
register_body("passt", PasstOptions)(lambda n_bins, options: Passt(options, n_bins))
register_body("fpasst", FpasstOptions)(lambda n_bins, options: Fpasst(options, n_bins))

"""Which images a step sees, and how each is moved, mirrored and zoomed: decided on the host, done on the device.

All of it follows from the seed and the number of the step. So a training that is resumed at any step sees what it would
have seen, nothing of a random state need be kept, a thread may prepare steps ahead, and several processes that share a
batch draw the same plan and take their parts of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

ROW, DOWN, RIGHT, MIRRORED, ZOOM = range(5)  # the columns of a plan, (batch, 5) int64
WHOLE = 1000  # ZOOM is in thousandths of the window's side


@dataclass(frozen=True, slots=True)
class Sampler:
    """Shares are of the image's side. Every batch is of one size: what is left of an epoch is left out of it."""

    images: int
    image_size: int
    batch: int  # of all processes together
    seed: int
    crop: float = 1.0  # side of the window
    shift: float = 0.0  # how far the window may leave the image; there, the border repeats its last pixels
    flip_probability: float = 0.0
    zoom: float = 1.0  # the least share of the window that is enlarged to fill it
    smallest: float = 1.0  # share of the window's side that the first epoch sees it in

    @property
    def steps_per_epoch(self) -> int:
        return self.images // self.batch

    @property
    def window(self) -> int:
        return round(self.image_size * self.crop)

    def size(self, epoch: int, epochs: int) -> int:
        """Pixels of a side that the window is brought to: multiples of 16 that grow in a line, whole from two thirds
        of the epochs on."""
        grown = min(1.0, 1.5 * epoch / epochs)
        size = self.window * (self.smallest + (1 - self.smallest) * grown)
        return min(self.window, max(16, round(size / 16) * 16)) if size < self.window else self.window

    def plan(self, step: int) -> Tensor:
        epoch, place = divmod(step, self.steps_per_epoch)
        rows = order(self.images, self.seed, epoch)[place * self.batch : (place + 1) * self.batch]
        random = torch.Generator().manual_seed(2 * (self.seed * 1_000_003 + step) + 1)
        free, reach = self.image_size - self.window, round(self.image_size * self.shift)
        moves = torch.randint(-reach, free + reach + 1, (self.batch, 2), generator=random)
        mirrored = torch.rand(self.batch, 1, generator=random) < self.flip_probability
        zoom = self.zoom + (1 - self.zoom) * torch.rand(self.batch, 1, generator=random)
        return torch.cat([rows[:, None], moves, mirrored.long(), (WHOLE * zoom).long()], 1)


@lru_cache(maxsize=2)  # of this epoch and, for a thread that is ahead, of the next
def order(images: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(images, generator=torch.Generator().manual_seed(2 * (seed * 1_000_003 + epoch)))


def augment(images: Tensor, places: Tensor, plan: Tensor, sampler: Sampler, size: int) -> Tensor:
    """Of images (some, side, side, 3) uint8, those at `places`, as the plan has them: windows (n, size, size, 3).

    uint8 where pixels are only chosen; float where the window is zoomed or brought to another size.
    """
    if sampler.zoom < 1 or size != sampler.window:
        return resample(images[places], plan, sampler, size)
    if images.device.type == "cpu" and sampler.shift == 0:
        return cut(images, places, plan, size)
    return gather(images, places, plan, size)


def cut(images: Tensor, places: Tensor, plan: Tensor, size: int) -> Tensor:
    """Copy the windows row by row: on a CPU a tenth of what `gather` takes for 224 pixels."""
    windows = torch.empty((len(places), size, size, 3), dtype=torch.uint8)
    for window, place, (_, down, right, mirrored, _) in zip(windows, places.tolist(), plan.tolist(), strict=True):
        window.copy_(images[place, down : down + size, right : right + size])
        if mirrored:  # as a picture of planes, for which torch mirrors with vector instructions
            window.copy_(window.permute(2, 0, 1)[None].flip(3)[0].permute(1, 2, 0))
    return windows


def gather(images: Tensor, places: Tensor, plan: Tensor, size: int) -> Tensor:
    """It is all in the indexes: each pixel is read once, and the border's as often as it is repeated."""
    pixels = torch.arange(size, device=images.device)
    down = (pixels + plan[:, DOWN, None]).clamp(0, images.shape[1] - 1)
    right = (pixels + plan[:, RIGHT, None]).clamp(0, images.shape[2] - 1)
    right = torch.where(plan[:, MIRRORED, None] > 0, right.flip(1), right)
    return images[places[:, None, None], down[:, :, None], right[:, None, :]]


def resample(images: Tensor, plan: Tensor, sampler: Sampler, size: int) -> Tensor:
    """Bilinear, in the coordinates of grid_sample: the image reaches from -1 to 1."""
    half = plan[:, ZOOM] / WHOLE * sampler.window / sampler.image_size
    across, along = ((2 * plan[:, side] + sampler.window) / sampler.image_size - 1 for side in (RIGHT, DOWN))
    mirror = 1 - 2 * plan[:, MIRRORED]
    zero = torch.zeros_like(half)
    theta = torch.stack([half * mirror, zero, across, zero, half, along], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    planes = images.permute(0, 3, 1, 2).float()
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)

"""What a phone, a room and a hand do to a face, done to a batch of crops."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor


def augment(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Return changed crops: turned, moved, lit, blurred, noisy, partly covered.

    Args:
        crops: (n, side, side) uint8.
        generator: the only source of chance, on the device of `crops`.

    Returns:
        (n, side, side) float in 0..255.
    """
    pictures = crops.float()[:, None] / 255
    pictures = _move(pictures, generator)
    pictures = _light(pictures, generator)
    pictures = _soften(pictures, generator)
    pictures = _cover(pictures, generator)
    noise = torch.randn(pictures.shape, generator=generator, device=pictures.device)
    pictures = pictures + noise * _uniform(pictures, generator, 0, 0.04)
    return pictures.clamp(0, 1)[:, 0] * 255


def _uniform(like: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """One number a picture, (n, 1, 1, 1)."""
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device) * (high - low) + low


def _chosen(like: Tensor, generator: torch.Generator, share: float) -> Tensor:
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device) < share


def _move(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of them; turn by up to 15 degrees, scale by up to 15 %, shift by up to 8 % of the side."""
    angle = _uniform(pictures, generator, -1, 1).flatten() * math.radians(15)
    scale = torch.exp(_uniform(pictures, generator, -0.15, 0.15).flatten())
    aspect = torch.exp(_uniform(pictures, generator, -0.06, 0.06).flatten())
    mirror = 1 - 2 * _chosen(pictures, generator, 0.5).flatten().float()
    shift = [_uniform(pictures, generator, -0.16, 0.16).flatten() for _ in range(2)]
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack(
        [cosine * aspect * mirror, -sine, shift[0], sine * mirror, cosine / aspect, shift[1]], dim=1
    ).reshape(-1, 2, 3)
    grid = functional.affine_grid(rows, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _light(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Bend the tone curve and, for half of them, light the face from one side."""
    pictures = pictures.clamp(1e-4, 1) ** torch.exp(_uniform(pictures, generator, -0.5, 0.5))
    ramp = torch.linspace(-1, 1, pictures.shape[-1], device=pictures.device)
    direction = _uniform(pictures, generator, 0, 2 * math.pi)
    slope = torch.cos(direction) * ramp + torch.sin(direction) * ramp[:, None]
    strength = _uniform(pictures, generator, 0, 0.6) * _chosen(pictures, generator, 0.5)
    return pictures * (1 + strength * slope)


def _soften(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Throw away fine detail of half of them, as a small or distant face does; one degree a batch, to stay cheap."""
    side = pictures.shape[-1]
    small = int(torch.randint(side // 3, side, (), generator=generator, device=pictures.device))
    coarse = functional.interpolate(pictures, size=(small, small), mode="area")
    blurred = functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    return torch.where(_chosen(pictures, generator, 0.5), blurred, pictures)


def _cover(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Cover a rectangle of 40 % of them with one grey, as hands and hair do (random erasing, Zhong et al. 2020)."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    centre_x, centre_y = _uniform(pictures, generator, 0, 1), _uniform(pictures, generator, 0, 1)
    width, height = _uniform(pictures, generator, 0.1, 0.5), _uniform(pictures, generator, 0.1, 0.5)
    inside = ((place - centre_x).abs() < width / 2) & ((place[:, None] - centre_y).abs() < height / 2)
    return torch.where(
        inside & _chosen(pictures, generator, 0.4), _uniform(pictures, generator, 0, 1).expand_as(pictures), pictures
    )

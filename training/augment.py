"""What a phone, a room and a hand do to a face, done to a batch of crops."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from inference.crops import ANCHORS


def augment(
    crops: Tensor, shapes: Tensor, order: Tensor, side: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return changed crops and shapes: all turned and moved, half of them dressed, lit, blurred, covered, compressed.

    The other half stays as clear as it was: the network must not forget what an easy picture looks like.

    Args:
        crops: (n, s, s) uint8.
        shapes: (n, LANDMARKS, 3) float of the same faces; see `inference.crops.shape`.
        order: (LANDMARKS,) which landmark each becomes in a mirror; see `mirror_order`.
        side: of the returned crops.
        generator: the only source of chance, on the device of `crops`.

    Returns:
        (n, side, side) float in 0..255 and (n, LANDMARKS, 3) float.
    """
    pictures = crops.float()[:, None] / 255
    mirrored = _chosen(pictures, generator, 0.5).flatten()
    clear = _chosen(pictures, generator, 0.5)
    pictures = torch.where(clear, pictures, _wear(pictures, generator))
    moved = _move(pictures, mirrored, side, generator)
    pictures = _light(moved, generator)
    pictures = _soften(pictures, generator)
    pictures = _cover(pictures, generator)
    noise = torch.randn(pictures.shape, generator=generator, device=pictures.device)
    pictures = pictures + noise * _uniform(pictures, generator, 0, 0.42) ** 3
    pictures = _compress(pictures.clamp(0, 1), generator)
    pictures = torch.where(clear, moved, pictures)
    return pictures.clamp(0, 1)[:, 0] * 255, _reshape(shapes, mirrored, order, generator)


def mirror_order(mean: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return which landmark each becomes in a mirror, (LANDMARKS,): the one that lies nearest in the mirrored face.

    Args:
        mean: (LANDMARKS, 3) the mean shape of many faces.
    """
    mirrored = mean * (-1, 1, 1) + (1, 0, 0)
    distance = np.linalg.norm(mirrored[:, None] - mean[None], axis=2)
    return np.asarray(linear_sum_assignment(distance + distance.T)[1], np.int64)


def mirror(shapes: Tensor, order: Tensor) -> Tensor:
    """Return (n, LANDMARKS, 3) shapes as a mirror shows them."""
    return shapes[:, order] * shapes.new_tensor((-1, 1, 1)) + shapes.new_tensor((1, 0, 0))


def _reshape(shapes: Tensor, mirrored: Tensor, order: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror the shapes whose pictures are, shake all a little, and hide every other one.

    Shapes are learned in a few epochs, pixels in many: a network that always has the shape to lean on leaves the pixels
    half learned (hence ModDrop, Neverova et al. 2016).
    """
    shapes = torch.where(mirrored[:, None, None], mirror(shapes, order), shapes)
    shake = torch.randn(shapes.shape, generator=generator, device=shapes.device) * 0.004
    hidden = torch.rand(len(shapes), 1, 1, generator=generator, device=shapes.device) < 0.5
    return torch.where(hidden, torch.nan, shapes + shake)


def _uniform(like: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """One number a picture, (n, 1, 1, 1)."""
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device) * (high - low) + low


def _chosen(like: Tensor, generator: torch.Generator, share: float) -> Tensor:
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device) < share


def _wear(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Put spectacles or sunglasses on one in seven, and a mask on one in twenty."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    (left_x, eye_y), (right_x, _), (_, mouth_y) = ANCHORS.tolist()
    width, height = _uniform(pictures, generator, 0.11, 0.17), _uniform(pictures, generator, 0.08, 0.14)
    across = torch.minimum((place - left_x).abs(), (place - right_x).abs())
    lens = (across / width) ** 4 + ((place[:, None] - eye_y) / height) ** 4
    dark = _chosen(pictures, generator, 0.5)
    # A rim is where the lens ends; a dark lens is filled as well.
    worn = torch.where(dark, lens < 1, (lens > 0.6) & (lens < 1.3)) & _chosen(pictures, generator, 0.14)
    tint, shade = _uniform(pictures, generator, 0.6, 1), _uniform(pictures, generator, 0, 0.35)
    pictures = torch.where(worn, pictures * (1 - tint) + shade * tint, pictures)
    edge = _uniform(pictures, generator, mouth_y - 0.22, mouth_y - 0.1)
    masked = (place[:, None] > edge + (place - 0.5) ** 2) & _chosen(pictures, generator, 0.05)
    return torch.where(masked, _uniform(pictures, generator, 0.1, 1).expand_as(pictures), pictures)


def _move(pictures: Tensor, mirrored: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Mirror the chosen; turn by up to 15 degrees, scale by up to 15 %, shift by up to 8 % of the side."""
    angle = _uniform(pictures, generator, -1, 1).flatten() * math.radians(15)
    scale = torch.exp(_uniform(pictures, generator, -0.15, 0.15).flatten())
    aspect = torch.exp(_uniform(pictures, generator, -0.06, 0.06).flatten())
    mirror = 1 - 2 * mirrored.float()
    shift = [_uniform(pictures, generator, -0.16, 0.16).flatten() for _ in range(2)]
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack(
        [cosine * aspect * mirror, -sine, shift[0], sine * mirror, cosine / aspect, shift[1]], dim=1
    ).reshape(-1, 2, 3)
    grid = functional.affine_grid(rows, [len(pictures), 1, side, side], align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _light(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Bend the tone curve, over-expose a quarter of them and light half of them from one side."""
    pictures = pictures.clamp(1e-4, 1) ** torch.exp(_uniform(pictures, generator, -0.7, 0.7))
    glare = torch.exp(_uniform(pictures, generator, 0, 0.8))
    pictures = torch.where(_chosen(pictures, generator, 0.25), (pictures * glare).clamp(max=1), pictures)
    ramp = torch.linspace(-1, 1, pictures.shape[-1], device=pictures.device)
    direction = _uniform(pictures, generator, 0, 2 * math.pi)
    slope = torch.cos(direction) * ramp + torch.sin(direction) * ramp[:, None]
    strength = _uniform(pictures, generator, 0, 0.8) * _chosen(pictures, generator, 0.5)
    return pictures * (1 + strength * slope)


def _soften(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Throw away fine detail of 40 % of them, as a small or distant face does; one degree a batch, to stay cheap."""
    side = pictures.shape[-1]
    small = int(torch.randint(side // 3, side, (), generator=generator, device=pictures.device))
    coarse = functional.interpolate(pictures, size=(small, small), mode="area")
    blurred = functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    return torch.where(_chosen(pictures, generator, 0.4), blurred, pictures)


def _cover(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Cover a rectangle of 30 % of them with one grey, as hands and hair do (random erasing, Zhong et al. 2020)."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    centre_x, centre_y = _uniform(pictures, generator, 0, 1), _uniform(pictures, generator, 0, 1)
    width, height = _uniform(pictures, generator, 0.1, 0.5), _uniform(pictures, generator, 0.1, 0.5)
    inside = ((place - centre_x).abs() < width / 2) & ((place[:, None] - centre_y).abs() < height / 2)
    return torch.where(
        inside & _chosen(pictures, generator, 0.3), _uniform(pictures, generator, 0, 1).expand_as(pictures), pictures
    )


def _compress(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Quantise the 8 x 8 cosine transform of a quarter of them as JPEG does (ITU-T T.81), one quality a batch."""
    side = pictures.shape[-1]
    quality = float(torch.randint(8, 50, (), generator=generator, device=pictures.device))
    step = (5000 / quality) / 100 / 255
    angle = torch.arange(8, device=pictures.device)
    cosine = torch.cos(math.pi / 8 * (angle + 0.5) * angle[:, None]) * 0.5
    cosine[0] /= math.sqrt(2)
    # The standard's table of brightness grows from 16 to about 100 with the frequency; this plane is near it.
    table = (10 + 7 * (angle + angle[:, None]).float()) * step
    chosen = _chosen(pictures, generator, 0.25)
    blocks = pictures.unfold(2, 8, 8).unfold(3, 8, 8)
    kept = torch.round(cosine @ (blocks - 0.5) @ cosine.T / table) * table
    coarse = (cosine.T @ kept @ cosine + 0.5).permute(0, 1, 2, 4, 3, 5).reshape(len(pictures), 1, side, side)
    return torch.where(chosen, coarse, pictures)

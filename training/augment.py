"""What a phone, a room and a hand do to a face, done to a batch of crops."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from inference.crops import ANCHORS


class Augmented(NamedTuple):
    """A batch as the network sees it.

    Attributes:
        crops: (n, side, side) float in 0..255; turned, moved, and all but the clear ones spoilt.
        shapes: (n, LANDMARKS, 3) float, NaN where hidden.
    """

    crops: Tensor
    shapes: Tensor


def augment(
    crops: Tensor,
    shapes: Tensor,
    order: Tensor,
    side: int,
    generator: torch.Generator,
    *,
    clear: float = 0.5,
    hide: float = 0.5,
) -> Augmented:
    """Return changed crops and shapes: all turned and moved, many of them dressed, lit, blurred, covered, compressed.

    The others stay as clear as they were: the network must not forget what an easy picture looks like.

    Args:
        crops: (n, s, s) uint8.
        shapes: (n, LANDMARKS, 3) float of the same faces; see `inference.crops.shape`.
        order: (LANDMARKS,) which landmark each becomes in a mirror; see `mirror_order`.
        side: of the returned crops.
        generator: the only source of chance, on the device of `crops`.
        clear: share of the faces that stay clear, 0 to 1.
        hide: share of the faces whose shape is hidden, 0 to 1.
    """
    pictures = crops.float()[:, None] / 255
    mirrored = _chosen(pictures, generator, 0.5).flatten()
    untouched = _chosen(pictures, generator, clear)
    masked = _chosen(pictures, generator, 0.2) & ~untouched
    touched = _chosen(pictures, generator, 0.15) & ~untouched
    turn = _turn(pictures, mirrored, generator)
    moved = _move(pictures, turn, side)
    spoilt = _wear_glasses(_tan(pictures, generator), generator)
    spoilt = _touch(_wear_mask(spoilt, masked, generator), touched, generator)
    spoilt = _move(spoilt, turn, side)
    spoilt = _light(spoilt, generator)
    spoilt = _soften(spoilt, generator)
    spoilt = _cover(spoilt, generator)
    spoilt = _compress(_grain(spoilt, generator).clamp(0, 1), generator)
    pictures = torch.where(untouched, moved, spoilt)
    seen = torch.where(mirrored[:, None, None], mirror(shapes, order), shapes)
    return Augmented(
        pictures.clamp(0, 1)[:, 0] * 255,
        _distrust(seen, (masked | touched).flatten(), hide, generator),
    )


def cover_mouths(crops: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return changed crops, some with a mask, fingers or a box on them, and the share of each mouth that these hide.

    Args:
        crops: (n, s, s) uint8.
        generator: the only source of chance, on the device of `crops`.

    Returns:
        Crops (n, s, s) float in 0..255, all turned and moved, half of them also lit, blurred, grained and compressed;
        shares (n,), 0 to 1, of the mouth's surroundings.
    """
    pictures = crops.float()[:, None] / 255
    side = pictures.shape[-1]
    masked = _chosen(pictures, generator, 0.2)
    touched = _chosen(pictures, generator, 0.35) & ~masked
    bare = _wear_glasses(_tan(pictures, generator), generator)
    covered = _touch(_wear_mask(bare, masked, generator), touched, generator)
    covered = torch.where(masked | touched, covered, _cover(covered, generator))
    mouth_x, mouth_y = (ANCHORS[2] * side).tolist()
    rows = slice(round(mouth_y - 0.07 * side), round(mouth_y + 0.13 * side))
    columns = slice(round(mouth_x - 0.17 * side), round(mouth_x + 0.17 * side))
    shares = ((covered - bare).abs() > 1e-4)[:, 0, rows, columns].float().mean(dim=(1, 2))
    mirrored = _chosen(pictures, generator, 0.5).flatten()
    moved = _move(covered, _turn(pictures, mirrored, generator), side)
    spoilt = _grain(_soften(_light(moved, generator), generator), generator)
    spoilt = _compress(spoilt.clamp(0, 1), generator)
    pictures = torch.where(_chosen(pictures, generator, 0.5), spoilt, moved)
    return pictures.clamp(0, 1)[:, 0] * 255, shares


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


def _distrust(shapes: Tensor, covered: Tensor, hide: float, generator: torch.Generator) -> Tensor:
    """Shake all shapes a little, give faces whose mouth is covered another's, and hide a share of all.

    Behind a mask or a hand MediaPipe only guesses the mouth. And shapes are learned in a few epochs, pixels in many:
    a network that always has the shape to lean on leaves the pixels half learned (hence ModDrop, Neverova et al. 2016).
    """
    shake = torch.randn(shapes.shape, generator=generator, device=shapes.device) * 0.004
    hidden = torch.rand(len(shapes), 1, 1, generator=generator, device=shapes.device) < hide
    shapes = torch.where(covered[:, None, None], shapes.roll(1, 0), shapes)
    return torch.where(hidden, torch.nan, shapes + shake)


def _uniform(like: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """One number a picture, (n, 1, 1, 1)."""
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device) * (high - low) + low


def _chosen(like: Tensor, generator: torch.Generator, share: float) -> Tensor:
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device) < share


def _wear_glasses(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Put spectacles or sunglasses on three in ten, with a reflection on half of those."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    (left_x, eye_y), (right_x, _), _ = ANCHORS.tolist()
    width, height = _uniform(pictures, generator, 0.11, 0.18), _uniform(pictures, generator, 0.08, 0.15)
    across = torch.minimum((place - left_x).abs(), (place - right_x).abs())
    lens = (across / width) ** 4 + ((place[:, None] - eye_y) / height) ** 4
    dark = _chosen(pictures, generator, 0.5)
    # A rim is where the lens ends; a dark lens is filled as well.
    wearing = _chosen(pictures, generator, 0.3)
    worn = torch.where(dark, lens < 1, (lens > 0.6) & (lens < 1.3)) & wearing
    tint, shade = _uniform(pictures, generator, 0.6, 1), _uniform(pictures, generator, 0, 0.35)
    pictures = torch.where(worn, pictures * (1 - tint) + shade * tint, pictures)
    return torch.where(wearing, _glint(pictures, lens, generator), pictures)


def _wear_mask(pictures: Tensor, masked: Tensor, generator: torch.Generator) -> Tensor:
    """Put a mask on the chosen."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    mouth_y = float(ANCHORS[2, 1])
    edge = _uniform(pictures, generator, mouth_y - 0.27, mouth_y - 0.1)
    below = place[:, None] - edge - _uniform(pictures, generator, 0, 1.2) * (place - 0.5) ** 2
    # Pleats and a hem: else bright cloth with dark lines is taken for teeth.
    pleats = torch.cos(below * _uniform(pictures, generator, 12, 50)) ** 8 * _chosen(pictures, generator, 0.7)
    hem = (below < _uniform(pictures, generator, 0.01, 0.05)).float()
    cloth = _uniform(pictures, generator, 0.1, 1) * (
        1 - _uniform(pictures, generator, 0, 0.35) * torch.maximum(pleats, hem)
    )
    return torch.where((below > 0) & masked, cloth, pictures)


def _glint(pictures: Tensor, lens: Tensor, generator: torch.Generator) -> Tensor:
    """Lay a slanting band of light on both lenses of half of them."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    (left_x, eye_y), (right_x, _), _ = ANCHORS.tolist()
    from_centre = torch.where(place < (left_x + right_x) / 2, place - left_x, place - right_x)
    slant = from_centre + _uniform(pictures, generator, -1, 1) * (place[:, None] - eye_y)
    off = (slant - _uniform(pictures, generator, -0.08, 0.08)) / _uniform(pictures, generator, 0.02, 0.09)
    strength = _uniform(pictures, generator, 0.1, 0.7) * _chosen(pictures, generator, 0.5)
    light = strength * torch.exp(-(off**2)) * (lens < 1)
    return pictures + (1 - pictures) * light


def _tan(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Bend the tone curve of the skin alone in three of ten: eyes and an open mouth keep theirs."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    (left_x, eye_y), (right_x, _), (mouth_x, mouth_y) = ANCHORS.tolist()

    def outside(x: float, y: float, width: float, height: float) -> Tensor:
        return torch.sigmoid(12 * ((((place - x) / width) ** 2 + ((place[:, None] - y) / height) ** 2) - 1))

    skin = (1 - outside(0.5, 0.5, 0.48, 0.62)) * outside(mouth_x, mouth_y, 0.1, 0.035)
    skin = skin * outside(left_x, eye_y, 0.11, 0.05) * outside(right_x, eye_y, 0.11, 0.05)
    bent = pictures.clamp(1e-4, 1) ** torch.exp(_uniform(pictures, generator, -0.5, 0.8))
    return torch.where(_chosen(pictures, generator, 0.3), torch.lerp(pictures, bent, skin), pictures)


def _touch(pictures: Tensor, touched: Tensor, generator: torch.Generator) -> Tensor:
    """Lay four fingers over the chosen faces' mouth or cheek, from either side."""
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    from_left = _chosen(pictures, generator, 0.5)
    across = torch.where(from_left, place, 1 - place)
    angle = _uniform(pictures, generator, -0.6, 0.6)
    down = place[:, None] - _uniform(pictures, generator, 0.55, 1.0)
    along, beside = across + angle * down, down - angle * (across - 0.5)
    pitch = _uniform(pictures, generator, 0.08, 0.13)
    finger = torch.round(beside / pitch + 1.5).clamp(0, 3)
    off = (beside / pitch + 1.5 - finger).abs() * 2  # 0 in the middle of a finger, 1 at its edge
    tip = _uniform(pictures, generator, 0.4, 0.85) - 0.03 * (finger - 1) ** 2
    palm = (along < tip - 0.35) & ((beside / pitch).abs() < 2.2)
    inside = ((off < 1) & (along < tip) | palm) & touched
    skin = pictures.mean(dim=(2, 3), keepdim=True) * _uniform(pictures, generator, 0.8, 1.25)
    return torch.where(inside, skin * (1 - _uniform(pictures, generator, 0.1, 0.5) * off.clamp(max=1) ** 2), pictures)


def _turn(pictures: Tensor, mirrored: Tensor, generator: torch.Generator) -> Tensor:
    """Return (n, 2, 3) transforms: mirror the chosen; turn by up to 15 degrees, scale by 15 %, shift by 8 %."""
    angle = _uniform(pictures, generator, -1, 1).flatten() * math.radians(15)
    scale = torch.exp(_uniform(pictures, generator, -0.15, 0.15).flatten())
    aspect = torch.exp(_uniform(pictures, generator, -0.06, 0.06).flatten())
    mirror = 1 - 2 * mirrored.float()
    shift = [_uniform(pictures, generator, -0.16, 0.16).flatten() for _ in range(2)]
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    return torch.stack(
        [cosine * aspect * mirror, -sine, shift[0], sine * mirror, cosine / aspect, shift[1]], dim=1
    ).reshape(-1, 2, 3)


def _move(pictures: Tensor, turn: Tensor, side: int) -> Tensor:
    grid = functional.affine_grid(turn, [len(pictures), 1, side, side], align_corners=False)
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
    """Blur half of them with a Gaussian of up to 5 % of the side, as small, distant and shaken faces are."""
    side = pictures.shape[-1]
    deviation = _uniform(pictures, generator, 0.1, 0.05 * side) * _chosen(pictures, generator, 0.5) + 1e-3
    place = torch.arange(side, device=pictures.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * ((place[:, None] - place) / deviation) ** 2)
    kernel = kernel / kernel.sum(dim=-1, keepdim=True)  # a row each, the edges repeat what is inside
    return kernel @ pictures @ kernel.mT


def _grain(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Add the noise of a sensor, little to most."""
    noise = torch.randn(pictures.shape, generator=generator, device=pictures.device)
    return pictures + noise * _uniform(pictures, generator, 0, 0.42) ** 3


def _cover(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Cover a rectangle of 30 % of them with one grey (random erasing, Zhong et al. 2020).

    Half of the greys are near the face's own, as hands are.
    """
    place = torch.linspace(0, 1, pictures.shape[-1], device=pictures.device)
    centre_x, centre_y = _uniform(pictures, generator, 0, 1), _uniform(pictures, generator, 0, 1)
    width, height = _uniform(pictures, generator, 0.1, 0.6), _uniform(pictures, generator, 0.1, 0.5)
    inside = ((place - centre_x).abs() < width / 2) & ((place[:, None] - centre_y).abs() < height / 2)
    skin = pictures.mean(dim=(2, 3), keepdim=True) * _uniform(pictures, generator, 0.7, 1.3)
    grey = torch.where(_chosen(pictures, generator, 0.5), skin, _uniform(pictures, generator, 0, 1))
    return torch.where(inside & _chosen(pictures, generator, 0.3), grey.expand_as(pictures), pictures)


def _compress(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Quantise the 8 x 8 cosine transform of a quarter of them as JPEG does (ITU-T T.81), at qualities 8 to 50."""
    side = pictures.shape[-1]
    step = (5000 / _uniform(pictures, generator, 8, 50)[..., None, None]) / 100 / 255
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

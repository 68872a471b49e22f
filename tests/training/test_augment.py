"""Faces spoilt and turned for training."""

import numpy as np
import torch

from training.augment import _tan, _touch, _wear_glasses, _wear_mask, augment, mirror, mirror_order
from training.data import Faces


def test_augmented_faces_are_faces_and_repeatable(faces: Faces) -> None:
    crops, shapes = torch.from_numpy(faces.crops[:8]), torch.from_numpy(faces.shapes[:8]).float()
    order = torch.from_numpy(mirror_order(faces.shapes[0].astype(np.float32)))
    (one, shape), (same, same_shape), (other, _) = (
        augment(crops, shapes, order, 48, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one.shape == (8, 48, 48)
    assert shape.shape == shapes.shape
    assert torch.equal(one, same)
    assert torch.equal(shape.nan_to_num(9), same_shape.nan_to_num(9))
    assert not torch.equal(one, other)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 255
    assert (one - crops[:, 8:56, 8:56]).abs().mean() > 5
    # The same chances turn and move them alike, whether they are spoilt or not: every other one is left clear.
    nothing, everything = (
        augment(crops, shapes, order, 48, torch.Generator().manual_seed(1), clear=clear, hide=clear) for clear in (1, 0)
    )
    alike = torch.isclose(one, nothing.crops, atol=0.01).flatten(1).all(dim=1)
    assert 0 < int(alike.sum()) < 8
    assert not torch.isclose(everything.crops, nothing.crops, atol=0.01).flatten(1).all(dim=1).any()
    assert nothing.shapes.isnan().all()
    assert torch.equal(everything.shapes.isnan(), shapes.isnan())


def test_what_is_worn_or_held_covers_what_it_should() -> None:
    grey, chance = torch.full((40, 1, 64, 64), 0.6), torch.Generator().manual_seed(3)
    everyone = torch.ones(40, 1, 1, 1, dtype=torch.bool)
    eyes, mouth = (slice(20, 28), slice(14, 26)), (slice(48, 54), slice(28, 36))

    def changed(pictures: torch.Tensor, where: tuple[slice, slice]) -> torch.Tensor:
        return ((pictures[:, 0, where[0], where[1]] - 0.6).abs() > 0.01).float().mean(dim=(1, 2))

    masked = _wear_mask(grey, everyone, chance)
    assert (changed(masked, mouth) > 0.9).float().mean() > 0.9
    spectacles = (changed(_wear_glasses(grey, chance), eyes) > 0).float().mean()
    assert 0.1 < float(spectacles) < 0.6
    assert (changed(_wear_glasses(grey, chance), mouth) == 0).all()
    touched = _touch(grey, everyone, chance)
    assert (changed(touched, (slice(30, 64), slice(0, 64))) > 0.1).float().mean() > 0.8
    assert torch.equal(_touch(grey, ~everyone, chance), grey)
    assert torch.equal(_wear_mask(grey, ~everyone, chance), grey)
    tanned = _tan(grey, chance)
    assert 0.1 < float((changed(tanned, (slice(34, 44), slice(14, 24))) > 0.5).float().mean()) < 0.6
    assert (changed(tanned, (slice(0, 2), slice(0, 2))) < 0.1).all()  # what is beside the face keeps its light


def test_a_mirror_swaps_the_sides_of_a_face(faces: Faces) -> None:
    shapes = torch.from_numpy(faces.shapes[:1]).float()
    order = mirror_order(faces.shapes[0].astype(np.float32))
    assert (order[order] == np.arange(len(order))).all()
    assert (order[[33, 61, 1, 468]] == [263, 291, 1, 473]).all()  # eye and mouth corners, nose, irises
    mirrored = mirror(shapes, torch.from_numpy(order))
    assert torch.allclose(mirror(mirrored, torch.from_numpy(order)), shapes)
    assert float((mirrored - shapes)[..., :2].abs().mean()) < 0.05  # a frontal face is nearly its own mirror image

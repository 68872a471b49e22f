"""What the models get to see of a photo, and where it was."""

import numpy as np
import pytest

from inference.faces import TILE_MIN, TILE_SHARE
from inference.views import cut_square, overlap, tiles


def test_tiles_cover_the_photo_and_overlap() -> None:
    squares = tiles(1600, 1000, TILE_SHARE, TILE_MIN)
    covered = np.zeros((1000, 1600), int)
    for left, top, side in squares:
        assert left >= 0
        assert top >= 0
        covered[top : top + side, left : left + side] += 1
    assert (covered > 0).all()
    # A face of 6 % of the long side lies whole in some tile, wherever it is.
    for x in range(0, 1600 - 96, 16):
        assert any(left <= x and x + 96 <= left + side for left, _, side in squares)


def test_a_square_view_keeps_places() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[50, 150] = 255
    view = cut_square(photo, 100, 0, 100, 50)
    assert divmod(int(view[:, :, 0].argmax()), 50) == (25, 25)
    outside = cut_square(photo, 500, 500, 40, 16)
    assert (outside == 128).all()


@pytest.mark.parametrize("side", [150, 256, 511, 1023])
def test_a_view_averages_where_it_shrinks_and_stretches_nothing(side: int) -> None:
    photo = np.zeros((side, side, 3), np.uint8)
    photo[:, ::2, 0] = 255
    photo[..., 1] = np.linspace(0, 255, side)
    photo[..., 2] = np.linspace(0, 255, side)[:, None]
    view = cut_square(photo, 0, 0, side, 75).astype(int)
    assert np.abs(view[..., 0] - 127.5).max() <= 1
    assert np.abs(view[..., 1] - np.linspace(0, 255, 75)).max() <= 5
    assert np.abs(view[..., 2] - np.linspace(0, 255, 75)[:, None]).max() <= 5


def test_overlap_is_the_share_of_the_smaller_box() -> None:
    large, inside, apart = (np.array(box, np.float32) for box in ((0, 0, 10, 10), (2, 2, 4, 4), (20, 0, 30, 10)))
    assert overlap(large, inside) == 1
    assert overlap(large, apart) == 0

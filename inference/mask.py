"""Covers the faces of a photo with their emoji, so that nothing of them shows through."""

from __future__ import annotations

import io
import math

from PIL import Image

from inference.drawing import DISC_SHARE, emoji_cover
from inference.errors import Face2EmojiError
from inference.photo import Photo
from inference.reading import Box, Emoji, Reading

NEUTRAL = Emoji("😶", "face without mouth", "no_mouth", "😐")
"""Covers a face that is not read, and one whose emoji has no drawing, such as a workspace's own."""

# A face is about 1.25 times as high as it is wide. Half of that height, from the box's diagonal, which hardly changes
# when the head is tilted: 1.25 / hypot(1, 1.25) / 2.
HALF_HEIGHT = 0.39
# The cover's radius in half heights, and how far its middle lies above the box's, towards the hair: a box ends at the
# upper forehead, and one without a mesh at the brows. Measured on 300 portraits, by the mesh and a hairline 20 % of the
# face above it: the cover of a mesh's box reaches beyond all that by 7 % of the face at the least, median 14 %; that of
# a detector's in 99 of 100, median 9 %.
RADIUS = 1.5
RAISE = 0.12
# Larger drawings are enlarged from this side: OpenMoji's have no more to show.
LARGEST_DRAWING = 1024
QUALITY = 90


def mask(photo: Photo, reading: Reading) -> Image.Image:
    """Return the photo as an RGB image of the size of `photo.pixels`, every face of the reading covered by its emoji.

    Covered is a disc around each face, from below the chin to above the hairline, turned as the head is.

    Args:
        photo: the decoded photo the reading belongs to.
        reading: its faces, in full-size pixels; `Reading.unread` is covered neutrally.
    """
    image = Image.fromarray(photo.pixels)
    covers = [(face.box, face.roll, NEUTRAL) for face in reading.unread]
    covers += [(face.box, face.roll, face.emoji) for face in reading.faces]
    for box, roll, emoji in covers:
        _cover(image, _disc(box, roll, photo.scale), roll, emoji)
    return image


def jpeg(image: Image.Image) -> bytes:
    """Return the bytes of a JPEG that holds the picture and nothing else."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _disc(box: Box, roll: float, scale: float) -> tuple[float, float, float]:
    """Return the disc (x, y, radius) that covers a face, in pixels of the reduced photo."""
    height = box.bottom - box.top
    half = max(HALF_HEIGHT * math.hypot(box.width, height), box.width / 2, height / 2)
    turn = math.radians(roll)
    x = (box.left + box.right) / 2 + RAISE * half * math.sin(turn)
    y = (box.top + box.bottom) / 2 - RAISE * half * math.cos(turn)
    return x / scale, y / scale, RADIUS * half / scale


def _cover(image: Image.Image, disc: tuple[float, float, float], roll: float, emoji: Emoji) -> None:
    """Paste the emoji so that its opaque ground covers a disc of the image; only what is inside is drawn."""
    x, y, radius = disc
    side = math.ceil(2 * (radius + 1) / (2 * DISC_SHARE))
    left, top = round(x - side / 2), round(y - side / 2)
    seen = max(0, left), max(0, top), min(image.width, left + side), min(image.height, top + side)
    if seen[0] >= seen[2] or seen[1] >= seen[3]:
        return
    drawn = min(side, LARGEST_DRAWING)
    try:
        picture = emoji_cover(emoji, drawn, roll)
    except Face2EmojiError:
        picture = emoji_cover(NEUTRAL, drawn, roll)
    share = drawn / side
    part = (
        (seen[0] - left) * share,
        (seen[1] - top) * share,
        (seen[2] - left) * share,
        (seen[3] - top) * share,
    )
    size = seen[2] - seen[0], seen[3] - seen[1]
    # Bilinear: between opaque pixels there is nothing but opaque ones.
    picture = picture.resize(size, Image.Resampling.BILINEAR, box=part)
    image.paste(picture, seen[:2], picture)

"""Draws a reading onto its photo: a box, the emoji and its name for every face."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from inference.drawing import emoji_picture
from inference.photo import Photo
from inference.reading import Box, Reading

_BOX = (255, 204, 77)
_LABEL = (30, 30, 36)


def annotate(photo: Photo, reading: Reading) -> Image.Image:
    """Return the photo as an RGB image of at most `photo.pixels` in size, with every face marked.

    Args:
        photo: the decoded photo the reading belongs to.
        reading: its faces, in full-size pixels.
    """
    image = Image.fromarray(photo.pixels)
    draw = ImageDraw.Draw(image, "RGBA")
    for face in reading.faces:
        left, top, right, bottom = (round(value / photo.scale) for value in _sides(face.box))
        size = max(12, (bottom - top) // 3)
        draw.rounded_rectangle((left, top, right, bottom), radius=size // 4, outline=_BOX, width=max(2, size // 16))
        label = f"{face.expression} {face.percent}"
        font = ImageFont.load_default(max(10, size // 3))
        _, _, wide, high = font.getbbox(label)
        place = (left, min(bottom + 2, image.height - round(high) - 6))
        draw.rounded_rectangle((*place, place[0] + wide + 8, place[1] + high + 6), radius=4, fill=(*_LABEL, 220))
        draw.text((place[0] + 4, place[1] + 2), label, font=font, fill="white")
        picture = emoji_picture(face.emoji, size)
        image.paste(picture, (right - size // 2, max(0, top - size // 2)), picture)
    return image


def _sides(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right, box.bottom

"""Draws a reading onto its photo: a box, the emoji and its name for every face."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import resvg_py  # a self-contained SVG renderer: no system library to install
from PIL import Image, ImageDraw, ImageFont

from inference.errors import Face2EmojiError
from inference.photo import Photo
from inference.reading import Box, Emoji, Reading

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


@lru_cache(maxsize=256)
def emoji_picture(emoji: Emoji, side: int) -> Image.Image:
    """Return the emoji drawn by OpenMoji (CC BY-SA 4.0), (side, side) RGBA; treat it as read-only.

    Raises:
        Face2EmojiError: OpenMoji has no drawing of it.
    """
    points = [f"{ord(point):04X}" for point in emoji.character]
    names = ("-".join(points), "-".join(point for point in points if point != "FE0F"))
    for name in names:
        if (path := _drawings() / f"{name}.svg").is_file():
            picture = resvg_py.svg_to_bytes(svg_string=path.read_text("utf-8"), width=side, height=side)
            return Image.open(io.BytesIO(bytes(picture))).convert("RGBA")
    raise Face2EmojiError(f"There is no drawing of {emoji.name} ({names[-1]}). Choose another emoji in emoji_map.yaml.")


@lru_cache(maxsize=1)
def _drawings() -> Path:
    # The package is a carrier of OpenMoji's files only: importing it would need the system's cairo library.
    spec = find_spec("emosvg")
    if spec is None or not spec.submodule_search_locations:
        raise Face2EmojiError("The package emosvg is missing. Run `make install` again.")
    return Path(spec.submodule_search_locations[0]) / "resources" / "openmoji-svg-color"

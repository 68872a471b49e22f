"""Draws emoji: OpenMoji's pictures (CC BY-SA 4.0), for annotated and for masked photos."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import Face2EmojiError
from inference.reading import Emoji

if TYPE_CHECKING:
    from PIL import Image

# OpenMoji draws on a square of 72; its faces are discs of radius 23 in the middle of it, with a line of 2 around them.
DISC_SHARE = 22.5 / 72
"""Radius of the ground below an emoji, as a share of the picture's side: within the line around OpenMoji's faces."""

_GROUND = '<circle cx="36" cy="36" r="22.5" fill="#FCEA2B"/>'
_TURNED = (
    '<svg viewBox="0 0 72 72" xmlns="http://www.w3.org/2000/svg"><g transform="rotate({roll} 36 36)">{all}</g></svg>'
)


@lru_cache(maxsize=256)
def emoji_picture(emoji: Emoji, side: int) -> Image.Image:
    """Return the emoji drawn by OpenMoji, (side, side) RGBA; treat it as read-only.

    Raises:
        Face2EmojiError: OpenMoji has no drawing of it.
    """
    return _rendered(_drawing(emoji.character, emoji.name), side)


def emoji_cover(emoji: Emoji, side: int, roll: float) -> Image.Image:
    """Return the emoji on a ground that nothing shows through, turned clockwise by `roll` degrees, (side, side) RGBA.

    Opaque is the disc of radius `DISC_SHARE` times the side around the middle, but for the pixels on its edge.

    Raises:
        Face2EmojiError: OpenMoji has no drawing of it.
    """
    return _rendered(_TURNED.format(roll=f"{roll:.2f}", all=_GROUND + _drawing(emoji.character, emoji.name)), side)


def emoji_svg(character: str) -> str:
    """Return OpenMoji's drawing of an emoji as SVG, 72 by 72.

    Args:
        character: the emoji, with or without U+FE0F.

    Raises:
        Face2EmojiError: OpenMoji has no drawing of it.
    """
    # A size of its own, without which some browsers do not draw it on a canvas.
    return _drawing(character, character).replace("<svg ", '<svg width="72" height="72" ', 1)


def _rendered(svg: str, side: int) -> Image.Image:
    import resvg_py  # a self-contained SVG renderer: no system library to install
    from PIL import Image  # late: who only serves SVG does without both

    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side)))).convert("RGBA")


@lru_cache(maxsize=256)
def _drawing(character: str, name: str) -> str:
    points = [f"{ord(point):04X}" for point in character]
    names = ("-".join(points), "-".join(point for point in points if point != "FE0F"))
    for file in names:
        if (path := _drawings() / f"{file}.svg").is_file():
            return path.read_text("utf-8")
    raise Face2EmojiError(f"There is no drawing of {name} ({names[-1]}). Choose another emoji in emoji_map.yaml.")


@lru_cache(maxsize=1)
def _drawings() -> Path:
    # The package is a carrier of OpenMoji's files only: importing it would need the system's cairo library.
    spec = find_spec("emosvg")
    if spec is None or not spec.submodule_search_locations:
        raise Face2EmojiError("The package emosvg is missing. Run `make install` again.")
    return Path(spec.submodule_search_locations[0]) / "resources" / "openmoji-svg-color"

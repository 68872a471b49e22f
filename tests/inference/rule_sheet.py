"""Draws docs/emoji_rules.svg: for every rule of the map a face it fits, its emoji and its reason.

`python -m tests.inference.rule_sheet` writes it anew from the examples that the tests prove.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from textwrap import wrap
from xml.sax.saxutils import escape

from tests.inference.emoji_examples import EXAMPLES, Example

SHEET = Path(__file__).parents[2] / "docs" / "emoji_rules.svg"
COLUMNS, WIDE, HIGH, MARGIN = 3, 300, 60, 12
STYLE = (
    "text{font:13px sans-serif;fill:#222}"
    '.e{font:34px "Apple Color Emoji","Segoe UI Emoji","Noto Color Emoji",sans-serif}'
    ".l{fill:none;stroke:#4a3a00;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}"
    ".s{stroke:#4a3a00;stroke-width:1.5}"
)
MASK = '<path d="M9 27L24 24 39 27 36 37Q24 46 12 37z" fill="#cfe8f2" class="s"/>'
EYES = (17, 31)  # x of the person's right eye and left eye: we look at them


def line(path: str) -> str:
    return f'<path class="l" d="{path}"/>'


def schematic(expression: str, cues: Collection[str]) -> str:
    """A face of 48 x 48 that shows an expression and cues, as SVG."""
    parts = ['<circle cx="24" cy="24" r="21" fill="#ffe08a" class="s"/>']
    parts += [_brow(side, expression, cues) for side in (0, 1)]
    parts += ["" if "eyes_covered" in cues else _eye(side, cues) for side in (0, 1)]
    if "eyes_covered" in cues:
        parts.append('<path d="M8 17h32v3a7 6 0 0 1-14 1l-1-2h-2l-1 2a7 6 0 0 1-14-1z" fill="#222"/>')
    parts.append(MASK if "mouth_covered" in cues else _mouth(expression, cues))
    turn = ' transform="rotate(16 24 24)"' if "head_tilted" in cues else ""
    return f"<g{turn}>{''.join(parts)}</g>"


def _brow(side: int, expression: str, cues: Collection[str]) -> str:
    x, inwards = EYES[side], 1 - 2 * side
    outer, inner = x - 4 * inwards, x + 4 * inwards
    if "brow_raised" in cues:
        return line(f"M{outer} {13 - 4 * side}L{inner} {14 - 5 * side}")
    if "brows_lowered" in cues or expression == "angry":
        return line(f"M{outer} 12L{inner} 16")
    if expression in ("sad", "fear"):
        return line(f"M{outer} {13 - 2 * ('brows_raised' in cues)}L{inner} {9 - 2 * ('brows_raised' in cues)}")
    if "brows_raised" in cues or expression == "surprise":
        return line(f"M{outer} 10Q{x} 7 {inner} 10")
    return line(f"M{outer} 13Q{x} 11.5 {inner} 13")


def _eye(side: int, cues: Collection[str]) -> str:
    x, inwards = EYES[side], 1 - 2 * side
    if "eyes_squeezed" in cues:
        return line(f"M{x - 3 * inwards} 17L{x + 3 * inwards} 20L{x - 3 * inwards} 23")
    if "eyes_closed" in cues or ("wink_right", "wink_left")[side] in cues:
        return line(f"M{x - 4} 20Q{x} 23 {x + 4} 20")
    if any(cue in cues for cue in ("eyes_wide", "looking_up", "looking_aside")):
        pupil = (x + 2 * ("looking_aside" in cues), 20 - 2 * ("looking_up" in cues))
        white = f'<circle cx="{x}" cy="20" r="4.5" fill="#fff" class="s"/>'
        return white + f'<circle cx="{pupil[0]}" cy="{pupil[1]}" r="2" fill="#222"/>'
    return f'<circle cx="{x}" cy="20" r="2.4" fill="#222"/>'


def _mouth(expression: str, cues: Collection[str]) -> str:
    smiles = expression == "happy" or "smile_open" in cues
    shapes = {
        "pout": '<circle cx="24" cy="33" r="3" fill="#d9485a" class="s"/>',
        "mouth_wide_open": '<path d="M14 28h20a10 13 0 0 1-20 0z" fill="#5b1a1a"/>'
        if smiles
        else '<ellipse cx="24" cy="34" rx="5.5" ry="7" fill="#5b1a1a"/>',
        "smile_open": '<path d="M14 29h20a10 9 0 0 1-20 0z" fill="#5b1a1a"/>'
        '<path d="M15 29h18l-1 3h-16z" fill="#fff"/>',
        "mouth_open": '<ellipse cx="24" cy="33" rx="4" ry="3.5" fill="#5b1a1a"/>',
        "smile_closed": line("M15 30Q24 38 33 30"),
        "smirk": line("M17 33Q27 35 33 29"),
        "lips_pressed": line("M18 33H30") + line("M17 31.5v3M31 31.5v3"),
    }
    for cue, shape in shapes.items():
        if cue in cues:
            return shape
    return {
        "happy": line("M15 30Q24 38 33 30"),
        "sad": line("M17 35Q24 29 31 35"),
        "angry": line("M17 34Q24 31 31 34"),
        "disgust": line("M16 33q4 -4 8 0t8 0"),
        "fear": line("M17 34l3.5 -3 3.5 3 3.5 -3 3.5 3"),
        "surprise": '<ellipse cx="24" cy="33" rx="3" ry="4" fill="#5b1a1a"/>',
    }.get(expression, line("M17 33H31"))


def sheet(examples: Sequence[Example]) -> str:
    """The whole sheet as SVG: the examples in order, row by row."""
    rows = math.ceil(len(examples) / COLUMNS)
    width, height = COLUMNS * WIDE + 2 * MARGIN, rows * HIGH + 2 * MARGIN
    cells = []
    for number, known in enumerate(examples):
        x, y = MARGIN + number % COLUMNS * WIDE, MARGIN + number // COLUMNS * HIGH
        words = wrap(known.rule, 25)
        first = 37 - 7 * len(words)
        spans = "".join(
            f'<tspan x="108" y="{first + 15 * row}">{escape(text)}</tspan>' for row, text in enumerate(words)
        )
        cells.append(
            f'<g transform="translate({x} {y})">{schematic(known.expression, known.cues.keys())}'
            f'<text x="58" y="37" class="e">{known.emoji}</text><text>{spans}</text></g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<title>The rules of emoji_map.yaml, from the top</title>\n<style>{STYLE}</style>\n"
        f'<rect width="{width}" height="{height}" rx="12" fill="#fff"/>\n' + "\n".join(cells) + "\n</svg>\n"
    )


if __name__ == "__main__":
    SHEET.write_text(sheet(EXAMPLES), "utf-8")

"""Spoils what platforms send: fields missing, empty, of another type, unknown, endless, or in letters of all kinds."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

SECRET = "notforlogs"
ENDLESS = f"{SECRET} " * 20_000
STRANGE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1e300,
    "",
    " ",
    "0",
    "\0",
    SECRET,
    ENDLESS,
    f"\u202e{SECRET}\u2066\u061c مرحبا שלום \u200f",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏿😶‍🌫️🇪🇺" * 50 + "\ud83d",
    "%s{0}{x}$(id)'\";--<b>&amp;[](tg://user?id=1)",
    "../../etc/passwd",
    "http://127.0.0.1:1/x",
    "9" * 400,
    [],
    [None],
    [[[[]]]],
    {},
    {"id": {"id": None}},
    ["x"] * 500,
    [{"of_the_future": 1, "id": 7, "type": "x"}],
)


def spoiled(payload: Any, chance: random.Random) -> Any:
    """Return a payload with one to three things in it spoiled."""
    payload = copy.deepcopy(payload)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(payload))
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder["of_the_future"] = {"text": SECRET, "more": [1, None]}
            case 2 if isinstance(holder, list):
                holder.extend([holder[key]] * 50)
            case 3 if isinstance(holder[key], str):
                holder[key] = holder[key] + chance.choice(["\u202e", "😶‍🌫️" * 100, ENDLESS, "\ud83d", " "])
            case _:
                holder[key] = copy.deepcopy(chance.choice(STRANGE))
    return payload


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (holder, key) in it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(pairs):
        yield value, key
        yield from _places(entry)

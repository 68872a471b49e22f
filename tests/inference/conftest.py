"""Pictures that several tests of reading share."""

from __future__ import annotations

import io

import pytest
from PIL import Image


@pytest.fixture
def passer_by(portrait: bytes) -> bytes:
    """A PNG of a face that fills it, and of another one, too small beside it to be looked for."""
    picture = Image.open(io.BytesIO(portrait)).convert("RGB")
    both = Image.new("RGB", (1300, 1000), (110, 110, 110))
    both.paste(picture.crop((160, 60, 300, 200)).resize((1000, 1000)))
    both.paste(picture.crop((140, 30, 310, 200)).resize((40, 40)), (1150, 600))
    file = io.BytesIO()
    both.save(file, "PNG")
    return file.getvalue()

"""What a test needs and this machine may lack."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


class Unavailable(Exception):
    """Why something cannot be had here."""


def skip_or_fail(reason: object) -> NoReturn:
    """Skip the test that lacks something; with CI=true, where nothing may be lacking, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(reason))
    pytest.skip(str(reason))

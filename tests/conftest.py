"""What tests of every room share."""

from pathlib import Path

import hypothesis
import pytest

# A busy machine is no failure: examples are counted, not timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of test pictures."""
    return Path(__file__).parent / "pictures"


@pytest.fixture(scope="session")
def portrait(pictures: Path) -> bytes:
    """A real, public-domain, smiling face."""
    return (pictures / "astronaut.jpg").read_bytes()

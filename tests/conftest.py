"""What tests of every room share."""

import os
from pathlib import Path

import hypothesis
import pytest

# Tests run side by side, and the threads of one training would wait for those of another: before PyTorch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure: examples are counted, not timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Files that hold up the whole run when they begin last.
LONG = ("training", "benchmarks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; with `--no-loadscope-reorder`, pytest-xdist keeps to that."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of test pictures."""
    return Path(__file__).parent / "pictures"


@pytest.fixture(scope="session")
def portrait(pictures: Path) -> bytes:
    """A real, public-domain, smiling face."""
    return (pictures / "astronaut.jpg").read_bytes()

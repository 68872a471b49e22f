"""Data walks one way: what each room may import, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("inference", "bot", "training", "tests")
INFERENCE_MODULES = {path.stem for path in (ROOT / "inference").iterdir()} - {"__init__"}

CHAT_AND_WEB = {"httpx", "prometheus_client", "slack_bolt", "slack_sdk", "starlette", "telegram", "uvicorn"}
FORBIDDEN = {
    "inference": {"bot", "training", "tests"} | CHAT_AND_WEB,
    "bot": {"training", "tests", "torch"},
    "training": {"bot", "tests"},
    "tests": set[str](),
}
THE_FILE_FOR = {"mediapipe": "inference.mediapipe_graphs", "onnxruntime": "inference.onnx_runtime"}
THE_TORCH_FILES = ("inference.network", "inference.on_device")


def wrong_imports(module: str, source: str) -> list[str]:
    """Name every import of a module that its room forbids."""
    room = module.partition(".")[0]
    wrong = []
    for line, name in sorted(imports(ast.parse(source))):
        top, _, rest = name.partition(".")
        if top in FORBIDDEN[room]:
            wrong.append(f"{module}, line {line}: {room} must not import {top}")
        elif top in THE_FILE_FOR and module != THE_FILE_FOR[top]:
            wrong.append(f"{module}, line {line}: only {THE_FILE_FOR[top]} imports {top}")
        elif top == "torch" and room == "inference" and module not in THE_TORCH_FILES:
            wrong.append(f"{module}, line {line}: of inference only {' and '.join(THE_TORCH_FILES)} import torch")
        elif top == "inference" and room == "bot" and rest.partition(".")[0] in INFERENCE_MODULES:
            wrong.append(f"{module}, line {line}: the bot enters by the door, `from inference import ...`, not {name}")
    return wrong


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported: by statement, by call, or by reaching into a package."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom(level=0):  # a relative import cannot leave its room
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id="inference"), attr=name):
                yield node.lineno, f"inference.{name}"


def modules(room: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@pytest.mark.parametrize("room", ROOMS)
def test_imports_are_one_way(room: str) -> None:
    found = list(modules(room))
    assert found
    assert [line for module, path in found for line in wrong_imports(module, path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("inference.photo", "import bot"),
        ("inference.photo", "from bot.settings import Settings"),
        ("inference.photo", "def late():\n    from training import data"),
        ("inference.photo", "if TYPE_CHECKING:\n    import starlette.requests"),
        ("inference.photo", "import slack_sdk"),
        ("inference.photo", "import mediapipe"),
        ("inference.photo", "from tests import fakes"),
        ("inference.faces", "import httpx"),
        ("inference.faces", "from mediapipe.python import packet_getter"),
        ("inference.reader", "import torch"),
        ("inference.expression", "import onnxruntime"),
        ("training.to_onnx", "from onnxruntime import InferenceSession"),
        ("inference.graph", "def late():\n    from torch import nn"),
        ("bot.jobs", "import torch"),
        ("bot.jobs", "import torch.nn.functional as F"),
        ("bot.jobs", "from mediapipe.python import packet_creator"),
        ("bot.jobs", "import inference.reader"),
        ("bot.jobs", "from inference.reader import FaceReader"),
        ("bot.jobs", "from inference import reader"),
        ("bot.jobs", "import inference\ninference.reader.FaceReader"),
        ("bot.jobs", "import importlib\nimportlib.import_module('training.train')"),
        ("bot.jobs", "__import__('torch')"),
        ("bot", "from tests.fakes import Reader"),
        ("training.data", "from bot import settings"),
        ("training.data", "import mediapipe as mp"),
        ("tests.bot.test_jobs", "import mediapipe"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(wrong_imports(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("inference.mediapipe_graphs", "import mediapipe\nfrom mediapipe.framework.formats import rect_pb2"),
        ("inference.onnx_runtime", "import onnxruntime"),
        ("inference.reader", "import cv2\nfrom inference.faces import FaceFinder\nfrom . import photo"),
        ("bot.jobs", "import inference\nfrom inference import load_reader\ninference.load_reader()"),
        ("bot.jobs", "import starlette\nfrom bot.settings import Settings\nfrom .answers import sentence"),
        ("inference.network", "import torch\nfrom torch import nn"),
        ("training.train", "from inference.network import Network\nimport torch\nimport bottle"),
        ("tests.bot.test_jobs", "import torch\nfrom inference.reader import FaceReader\nfrom tests import fakes"),
    ],
)
def test_a_right_import_is_left_alone(module: str, source: str) -> None:
    assert wrong_imports(module, source) == []

"""python -m training report: one valid, self-contained HTML file with all its parts."""

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.crops import CROP_SIDE, LANDMARKS
from training.__main__ import main
from training.data import SPLITS, Faces

VOID = {"meta", "img", "br", "link", "hr", "input"}
Attributes = dict[str, str]


class Page(HTMLParser):
    """Everything the tests ask of a page; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, Attributes]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.setdefault(tag, [])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]].append(data)

    def all(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("report")
    run = folder / "run"
    run.mkdir()
    lines = [{"epoch": epoch, "loss": 2 / epoch, "fer_plus_7": 0.3 * epoch, "seconds": 9.5} for epoch in (1, 2, 3)]
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "smile & <more>.jpg").write_bytes((pictures / "astronaut.jpg").read_bytes())
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "labels.csv").write_text("file,label\nsmile & <more>.jpg,sad\nbroken.jpg,fear\n")
    small_faces().save(folder / "small.npz")
    out = folder / "runs/report.html"
    arguments = ["--run", run, "--data", folder / "small.npz", "--labels", folder / "labels.csv", "--out", out]
    assert main(["report", *map(str, arguments)]) == 0
    return Page(out.read_text("utf-8"))


def small_faces() -> Faces:
    """Noise that nobody can read, most of it labelled disgust: mistakes for sure."""
    count = 30
    votes = np.zeros((count, 10), np.uint8)
    votes[:, 1] = 10
    votes[:4] = 0, 0, 0, 10, 0, 0, 0, 0, 0, 0
    return Faces(
        crops=np.random.default_rng(0).integers(0, 256, (count, CROP_SIDE, CROP_SIDE), np.uint8),
        shapes=np.full((count, LANDMARKS, 3), np.nan, np.float16),
        votes=votes,
        labels=np.full(count, 1, np.int8),
        split=np.full(count, SPLITS["PrivateTest"], np.uint8),
        found=np.zeros(count, bool),
        twin=np.zeros(count, bool),
        source="none",
    )


def test_it_has_all_its_parts(page: Page) -> None:
    headings = page.texts["h2"]
    assert headings[:2] == ["All sets", "Learning curves"]
    assert headings[2] == "small, PrivateTest"
    assert len(headings) == 5
    assert "own eyes" in " ".join(page.texts["p"])
    alts = " ".join(image["alt"] for image in page.all("img"))
    for part in ("Learning curves over 3 epochs", "Confusion matrix of small", "Reliability diagram of small"):
        assert part in alts
    assert "labelled sad, read as happy" in alts
    assert alts.count("A face labelled") == 11, "the ten worst of the noise, and the portrait"
    assert any("smile & <more>.jpg" in text for text in page.texts["span"])


def test_it_asks_the_network_for_nothing(page: Page) -> None:
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert name not in ("href", "srcset", "action"), value
            assert "//" not in value or value.startswith("data:")
            if name == "src":
                assert value.startswith("data:image/")
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)


def test_its_pictures_are_pictures(page: Page) -> None:
    images = page.all("img")
    assert len(images) > 15
    for image in images:
        assert image["alt"]
        with Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))) as picture:
            picture.load()


def test_its_tables_can_be_heard(page: Page) -> None:
    tables = len(page.all("table"))
    assert tables == 6
    assert len(page.texts["caption"]) == len(page.all("caption")) == tables
    assert {head["scope"] for head in page.all("th")} == {"col", "row"}
    assert page.all("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in page.all("section"):
        assert section["aria-labelledby"] in ids


def test_its_figures_are_right(page: Page) -> None:
    cells = page.texts["td"]
    assert cells[0] == "30"
    assert cells[1].endswith(" %")
    assert "0.6667" in cells  # the loss of the last epoch
    assert cells[5 : 5 + 5] == ["2", "0.0 %", "0.0 %", cells[8], "50.0 %"]  # a wrong answer, and none


@pytest.mark.parametrize("history", [None, "", "{", "1", '{"epoch": 1}', '{"epoch": 1, "loss": "less"}'])
def test_a_run_without_figures_is_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], history: str | None
) -> None:
    if history is not None:
        (tmp_path / "history.jsonl").write_text(history)
    assert main(["report", "--run", str(tmp_path), "--out", str(tmp_path / "report.html")]) == 1
    assert str(tmp_path) in capsys.readouterr().err

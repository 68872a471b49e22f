"""What hides a mouth is drawn, learned from, and seen again in a photo."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import FaceReader, FaceReading, checkpoint, load_reader
from inference.checkpoint import Architecture
from inference.crops import LANDMARKS, crop
from inference.faces import FaceFinder
from inference.network import Network
from inference.photo import Photo
from training.augment import cover_mouths
from training.corruptions import CORRUPTIONS, STRENGTHS, Corruption, Picture, Scene
from training.covers import with_covers
from training.data import FER_PLUS, VOTE_COLUMNS, Faces
from training.prepare import largest

MASK = next(way for way in CORRUPTIONS if way.name == "mask")


@pytest.fixture(scope="module")
def reader() -> Iterator[FaceReader]:
    reader = load_reader()
    yield reader
    reader.close()


def only_face(reader: FaceReader, pixels: Picture) -> FaceReading:
    (face,) = reader.read_photo(Photo(pixels, pixels.shape[1], pixels.shape[0])).faces
    return face


def faces_like(face: Picture, count: int) -> Faces:
    """So many training faces, all of them this crop."""
    votes = np.zeros((count, len(VOTE_COLUMNS)), np.uint8)
    votes[:, 0] = 10
    return Faces(
        crops=np.repeat(face[None], count, axis=0),
        shapes=np.zeros((count, LANDMARKS, 3), np.float16),
        votes=votes,
        labels=np.full(count, FER_PLUS.index("neutral"), np.int8),
        split=np.zeros(count, np.uint8),
        found=np.ones(count, np.bool_),
        twin=np.zeros(count, np.bool_),
        source="",
    )


@pytest.mark.parametrize("strength", range(2), ids=STRENGTHS[:2])  # of a mask up to the eyes no face may be left
@pytest.mark.parametrize("seed", range(4))
def test_a_mask_is_seen_and_the_mouth_below_it_is_not(
    reader: FaceReader, scene: Scene, strength: int, seed: int
) -> None:
    """Drawn otherwise than in training: by the landmarks, in colour, with straps and pleats of its own."""
    face = only_face(reader, MASK(scene, strength, seed))
    assert face.cues["mouth_covered"] > 0.8
    assert not {"smile_open", "smile_closed", "mouth_open", "mouth_wide_open", "pout", "smirk"} & set(face.cues)
    assert (face.emoji.character, face.emoji.slack, face.emoji.telegram) == ("😷", "mask", "🙊")


@pytest.mark.parametrize(
    "way", [way for way in CORRUPTIONS if way.name not in ("mask", "hand")], ids=lambda way: way.name
)
def test_nothing_else_is_taken_for_a_mask(reader: FaceReader, scene: Scene, way: Corruption) -> None:
    assert "mouth_covered" not in only_face(reader, way(scene, 1, 5)).cues


def test_what_hides_a_mouth_is_counted() -> None:
    crops = torch.full((400, 64, 64), 150, dtype=torch.uint8)
    spoilt, shares = cover_mouths(crops, torch.Generator().manual_seed(1))
    assert spoilt.shape == crops.shape
    assert 0 <= float(spoilt.min()) <= float(spoilt.max()) <= 255
    assert 0.2 < float((shares > 0.6).float().mean()) < 0.5
    assert float((shares == 0).float().mean()) > 0.3
    again = cover_mouths(crops, torch.Generator().manual_seed(1))
    assert torch.equal(again[0], spoilt)
    assert torch.equal(again[1], shares)


def test_the_head_is_learned_and_nothing_else_changes(scene: Scene, finder: FaceFinder) -> None:
    found = largest(finder.find(scene.pixels))
    assert found is not None
    faces = faces_like(crop(scene.pixels, found.anchors), 300)
    before = Network.of(checkpoint.load())
    after = with_covers(before, faces)
    crops, shares = cover_mouths(torch.from_numpy(faces.crops), torch.Generator().manual_seed(9))
    shapes = torch.full((len(crops), LANDMARKS, 3), torch.nan)
    with torch.inference_mode():
        old, new = before.answer(crops, shapes), after.answer(crops, shapes)
    assert all(torch.equal(one, other) for one, other in zip(old.logits, new.logits, strict=True))
    told = (shares > 0.6) | (shares == 0)
    assert float(((new.covered > 0) == (shares > 0.6))[told].float().mean()) > 0.9


def test_without_training_faces_no_mouth_is_covered(tmp_path: Path) -> None:
    network = Network(Architecture((8, 8, 16, 16), (1, 1, 1, 1), shape=8)).eval()
    nobody = faces_like(np.zeros((64, 64), np.uint8), 1)[np.array([], np.int64)]
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, with_covers(network, nobody).checkpoint(checkpoint.load().calibration, {}))
    loaded = Network.of(checkpoint.load(path))
    with torch.inference_mode():
        answers = loaded.answer(torch.zeros(3, 64, 64), torch.zeros(3, LANDMARKS, 3))
    assert (answers.covered < -5).all()

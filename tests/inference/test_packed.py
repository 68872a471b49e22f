"""Packed, the network says what it said before."""

import numpy as np
import pytest
import torch

from inference import checkpoint
from inference.crops import CROP_SIDE, LANDMARKS
from inference.network import Network, multiplies_bfloat16
from inference.packed import pack

FLOAT32, BFLOAT16 = 1e-4, 0.25
"""By which a logit may differ: bfloat16 has three digits, and the order in which one sums shows in the third."""


def prepared(*, in_bfloat16: bool) -> Network:
    network = checkpoint.load().network.folded()
    return (network.in_bfloat16() if in_bfloat16 else network).channels_last()


@pytest.mark.parametrize("faces", [1, 2, 7])
@pytest.mark.parametrize("in_bfloat16", [False, True])
@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx2"), reason="nothing is packed without AVX2")
def test_packed_the_network_answers_the_same(faces: int, in_bfloat16: bool) -> None:
    if in_bfloat16 and not multiplies_bfloat16(torch.device("cpu")):
        pytest.skip("this processor multiplies no bfloat16")
    chance = np.random.default_rng(faces)
    crops = torch.from_numpy(chance.integers(0, 256, (faces, CROP_SIDE, CROP_SIDE), np.uint8))
    shapes = torch.full((faces, LANDMARKS, 3), torch.nan)
    plain, packed = prepared(in_bfloat16=in_bfloat16), pack(prepared(in_bfloat16=in_bfloat16), CROP_SIDE)
    assert packed.stem is not plain.stem
    assert not any(isinstance(module, torch.nn.Conv2d) for module in packed.modules())
    with torch.inference_mode():
        ours, theirs = packed.answer(crops, shapes), plain.answer(crops, shapes)
    tolerance = BFLOAT16 if in_bfloat16 else FLOAT32
    for one, other in ((ours.logits.votes, theirs.logits.votes), (ours.logits.labels, theirs.logits.labels)):
        assert one.numpy() == pytest.approx(other.numpy(), abs=tolerance)
    assert ours.covered.numpy() == pytest.approx(theirs.covered.numpy(), abs=4 * tolerance)


def test_on_other_processors_the_network_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    network = prepared(in_bfloat16=False)
    stem = network.stem
    assert pack(network, CROP_SIDE).stem is stem

"""A trained network -> the same with narrower blocks: less work for nearly the same answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from tqdm import tqdm

from inference.checkpoint import Architecture, Checkpoint, misfit
from inference.network import Block, Network
from training.augment import augment, mirror_order
from training.covers import with_covers
from training.data import Faces, training_rows
from training.files import DataError
from training.train import shape_statistics

AT_MOST = 3_000
"""Faces to look at."""
PLACES = 24
"""At most, in each of them: of what a block's second convolution sees there."""
BATCH = 250
STEP = 16
"""From wide blocks channels go by so many: engines work through as many, or half of them, at once."""
LEAST = 0.25
"""Of a block's channels, at least these stay."""
SEED = 3
EPOCHS = 2
"""Of learning back what was lost."""
RATE = 3e-4
TAUGHT = 128
"""Faces in each of its steps."""
_WARM_UP = 20
# Ridge, as a share of the mean square of what a convolution sees.
L2 = 1e-3


def prune(checkpoint: Checkpoint, faces: Faces, keep: float, epochs: int = EPOCHS) -> Checkpoint:
    """Return a checkpoint whose blocks take `keep` of their convolutions' multiply-adds; calibrate it before a release.

    Channels between the two convolutions of a block go where its output changes least, and those that stay take over
    what they can of what the others said (optimal brain surgeon, Hassibi & Stork 1993, for whole channels as in Kurtic
    et al. 2023). How many go from which block is decided by what is lost for each multiply-add that is saved. Then the
    narrow network learns to see, block by block, what the wide one sees, and to answer as it does (Romero et al. 2015).

    Args:
        checkpoint: a trained network.
        faces: training faces among them. Some are looked at, half of them spoilt, and all are learned from.
        keep: above 0, below 1.
        epochs: of learning, 0 or more.

    Raises:
        DataError: there are no training faces, `keep` or `epochs` is outside its range, or so little cannot be kept.
        CheckpointError: the weights are not those of the architecture, or no numbers.
    """
    if not 0 < keep < 1:
        raise DataError("--keep must be above 0 and below 1")
    if epochs < 0:
        raise DataError("--epochs must be 0 or more")
    views = _views(faces)
    network = wide = Network.of(checkpoint)
    losses = []
    for block in tqdm(_blocks(network), desc="what can go", unit="block"):
        least = max(1, int(LEAST * _second(block).in_channels))
        losses.append(_cut(_second(block).weight, _look_inside(network, block, views), least).losses)
    widths = share_out(losses, checkpoint.architecture, keep)
    # From the first on: each is cut by what the narrower ones before it send.
    for index, width in enumerate(tqdm(widths, desc="cutting", unit="block")):
        block = _blocks(network)[index]
        if width < _second(block).in_channels:
            cut = _cut(_second(block).weight, _look_inside(network, block, views), width)
            checkpoint = _narrowed(checkpoint, index, cut)
            network = Network.of(checkpoint)
    _renew_norms(network, views)
    _learn_back(network, wide, faces, epochs)
    if network.covers is not None:
        network = with_covers(network, faces)
    # The figures were the wide network's.
    about = {name: value for name, value in checkpoint.about.items() if name != "figures"}
    before = about.get("pruned_to", 1)
    return network.checkpoint(checkpoint.calibration, {**about, "pruned_to": keep * before, "learned_back": epochs})


def share_out(losses: Sequence[Sequence[float]], architecture: Architecture, keep: float) -> tuple[int, ...]:
    """Return the inner width of each block, so that the blocks take at most `keep` of their multiply-adds.

    Args:
        losses: of each block, the share of its output's variance that is lost once 0, 1, 2, ... of its channels are
            gone.
        architecture: of the network, as it is now.
        keep: above 0, below 1.

    Raises:
        DataError: more than that is left where each block has lost all that it can.
    """
    widths = list(architecture.inner_widths())
    whole = list(widths)
    prices = _multiply_adds(architecture)
    budget = keep * float(np.dot(widths, prices))
    while np.dot(widths, prices) > budget:
        best, lost = -1, np.inf
        for block, (width, price) in enumerate(zip(widths, prices, strict=True)):
            gone, step = whole[block] - width, _step(width)
            if gone + step < len(losses[block]):
                each = (losses[block][gone + step] - losses[block][gone]) / (step * price)
                if each < lost:
                    best, lost = block, each
        if best < 0:
            least = np.dot(widths, prices) / np.dot(whole, prices)
            raise DataError(f"--keep {keep:g}: of this network's blocks {least:.2f} must stay at least")
        widths[best] -= _step(widths[best])
    return tuple(widths)


def _step(width: int) -> int:
    """Return how many channels go at a time: to the next multiple of `STEP`, below it one by one."""
    return (width % STEP or STEP) if width > STEP else 1


def _multiply_adds(architecture: Architecture) -> list[int]:
    """Return what one inner channel of each block takes, in units of a pair of channels in the last stage."""
    prices, before = [], architecture.widths[0]
    for stage, (width, count) in enumerate(zip(architecture.widths, architecture.blocks, strict=True)):
        for _ in range(count):
            prices.append((before + width) * 4 ** (3 - stage))
            before = width
    return prices


def _views(faces: Faces) -> list[Tensor]:
    """Return crops as training sees them."""
    rows = training_rows(faces)
    if not len(rows):
        raise DataError("the data hold no training faces to look at")
    chosen = faces[np.sort(np.random.default_rng(SEED).permutation(rows)[:AT_MOST])]
    order = _mirror_order(chosen)
    generator = torch.Generator().manual_seed(SEED)
    parts = (slice(start, start + BATCH) for start in range(0, len(chosen), BATCH))
    return [
        augment(
            torch.from_numpy(chosen.crops[part]),
            torch.from_numpy(chosen.shapes[part]).float(),
            order,
            chosen.crops.shape[1],
            generator,
        ).crops
        for part in parts
    ]


def _blocks(network: Network) -> list[Block]:
    return [block for block in network.stages if isinstance(block, Block)]


def _second(block: Block) -> nn.Conv2d:
    layer = block.path[3]
    if not isinstance(layer, nn.Conv2d):
        raise TypeError("a block's fourth layer is its second convolution")
    return layer


@dataclass(frozen=True, slots=True)
class _Inside:
    """What a block's second convolution sees, and what becomes of its output.

    Attributes:
        covariance: (9 inner, 9 inner) float64, of all that it sees. A constant costs nothing: the norm takes it away.
        worth: (width,) float64, what an error of variance 1 in each output is of the variance of the block's output.
    """

    covariance: Tensor
    worth: Tensor


def _look_inside(network: Network, block: Block, views: Sequence[Tensor]) -> _Inside:
    """Show a network crops, and return what a block makes of them."""
    generator = torch.Generator().manual_seed(SEED)
    patches: list[Tensor] = []
    outputs: list[Tensor] = []

    def note_input(_: nn.Module, arguments: tuple[Tensor]) -> None:
        pictures = arguments[0]
        side = pictures.shape[-1]
        chosen = torch.randperm(side**2, generator=generator)[:PLACES]
        rows, columns = chosen // side, chosen % side
        around = functional.pad(pictures, (1, 1, 1, 1))
        taps = [around[:, :, rows + down, columns + right] for down in range(3) for right in range(3)]
        patches.append(torch.stack(taps, dim=2).permute(0, 3, 1, 2).flatten(2).flatten(0, 1))

    def note_output(_: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
        outputs.append(output.var(dim=(0, 2, 3)).sum())

    second, norm = _second(block), block.path[4]
    if not isinstance(norm, nn.BatchNorm2d):
        raise TypeError("a block's last layer is a norm")
    hooks = second.register_forward_pre_hook(note_input), block.register_forward_hook(note_output)
    size = 9 * second.in_channels
    squares, sums, count = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64), 0
    try:
        for crops in views:
            with torch.inference_mode():
                network.look(crops)
            numbers = patches.pop()
            squares += (numbers.T @ numbers).double()
            sums += numbers.sum(dim=0).double()
            count += len(numbers)
    finally:
        for hook in hooks:
            hook.remove()
    mean = sums / count
    variance = torch.stack(outputs).double().mean().clamp(min=1e-12)
    gain = (norm.weight.square() / (norm.running_var + norm.eps)).double()  # type: ignore[operator]  # torch's stubs
    return _Inside(squares / count - mean.outer(mean), gain / variance)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A convolution that has lost inputs.

    Attributes:
        kept: (k,) int64, the inputs that stay.
        weight: (width, k, 3, 3) float32.
        losses: the share of the block's output that is lost once 0, 1, 2, ... inputs are gone.
    """

    kept: Tensor
    weight: Tensor
    losses: list[float]


def _cut(weight: Tensor, inside: _Inside, least: int) -> _Cut:
    """Return a convolution, (width, inputs, 3, 3), cut to `least` inputs.

    With W the weights (width, 9 inputs), H the covariance of what they see, plus a ridge, and g the nine columns of one
    input, removing g costs in each output

        W[:, g] inv(inv(H)[g, g]) W[:, g].T    (its diagonal; weighed by what errors there are worth)

    and what stays makes up for it best, and knows g no more, by

        W      -= W[:, g]      inv(inv(H)[g, g]) inv(H)[g, :]
        inv(H) -= inv(H)[:, g] inv(inv(H)[g, g]) inv(H)[g, :]

    (optimal brain surgeon for groups). One after the other the input goes that costs least.

    Raises:
        CheckpointError: it sees nothing, or no numbers.
    """
    width, inputs, *kernel = weight.shape
    taps = kernel[0] * kernel[1]
    covariance = inside.covariance
    if not (covariance.isfinite().all() and covariance.any()):
        raise misfit()
    weights = weight.detach().double().flatten(1).clone()
    ridge = L2 * covariance.diagonal().mean()
    inverse = torch.linalg.inv(covariance + torch.eye(len(covariance), dtype=torch.float64) * ridge)
    kept = torch.arange(inputs)
    losses = [0.0]
    while len(kept) > least:
        blocks = inverse.view(inputs, taps, inputs, taps)[kept, :, kept]  # inv(H)[g, g] of each, (k, taps, taps)
        inverse_blocks = torch.linalg.inv(blocks)
        group_weights = weights.view(width, inputs, taps)[:, kept].transpose(0, 1)  # W[:, g] of each, (k, width, taps)
        costs = ((group_weights @ inverse_blocks) * group_weights).sum(dim=2) @ inside.worth
        cheapest = int(costs.argmin())
        group = slice(int(kept[cheapest]) * taps, (int(kept[cheapest]) + 1) * taps)
        update = inverse_blocks[cheapest] @ inverse[group]  # (taps, taps * inputs)
        weights.addmm_(weights[:, group].clone(), update, alpha=-1)
        inverse.addmm_(inverse[:, group].clone(), update, alpha=-1)
        losses.append(losses[-1] + float(costs[cheapest]))
        kept = torch.cat([kept[:cheapest], kept[cheapest + 1 :]])
    left = weights.view(width, inputs, *kernel)[:, kept]
    return _Cut(kept, left.to(weight.dtype).contiguous(), losses)


def _narrowed(checkpoint: Checkpoint, block: int, cut: _Cut) -> Checkpoint:
    """Return a checkpoint with the cut convolution in a block, and before it only what that still takes."""
    architecture, weights, path = checkpoint.architecture, dict(checkpoint.weights), f"stages.{block}.path"
    for name in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        weights[f"{path}.{name}"] = weights[f"{path}.{name}"][cut.kept.numpy()]
    weights[f"{path}.3.weight"] = cut.weight.numpy()
    inner = list(architecture.inner_widths())
    inner[block] = len(cut.kept)
    return replace(checkpoint, architecture=replace(architecture, inner=tuple(inner)), weights=weights)


def _renew_norms(network: Network, views: Sequence[Tensor]) -> None:
    """Count means and variances of the convolutions' norms anew: what reaches them has changed."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    with torch.inference_mode():
        for crops in views:
            network.look(crops)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _learn_back(network: Network, wide: Network, faces: Faces, epochs: int) -> None:
    """Teach a narrowed network to be like the wide one, in faces as they are and in as many turned ones, half spoilt.

    Norms keep their means and variances, and what judges shapes and covered mouths stays as it is.

    Raises:
        CheckpointError: the networks answer with no numbers.
    """
    faces = faces[training_rows(faces)]
    chance, generator = np.random.default_rng(SEED), torch.Generator().manual_seed(SEED)
    order, parts = _mirror_order(faces), math.ceil(len(faces) / TAUGHT)
    wide = wide.folded().channels_last()
    taught = [
        weight
        for name, weight in network.channels_last().named_parameters()
        if not name.startswith(("shape", "covers"))
    ]
    for weight in taught:
        weight.requires_grad_(True)
    optimizer = torch.optim.Adam(taught)
    batches = [batch for _ in range(epochs) for batch in np.array_split(chance.permutation(len(faces)), parts)]
    warm_up = max(1, min(_WARM_UP, len(batches) // 5))
    for step, batch in enumerate(tqdm(batches, desc="learning back", unit="batch")):
        crops, shapes = torch.from_numpy(faces.crops[batch]), torch.from_numpy(faces.shapes[batch]).float()
        half = len(batch) // 2
        changed = augment(crops[half:], shapes[half:], order, crops.shape[1], generator)
        crops, shapes = torch.cat([crops[:half].float(), changed.crops]), torch.cat([shapes[:half], changed.shapes])
        with torch.no_grad(), _sent_on(wide) as aims:
            aim = wide(crops, shapes)
        with _sent_on(network) as tries:
            answer = network(crops, shapes)
        apart = [
            functional.mse_loss(one, other) / other.var().clamp(min=1e-12)
            for one, other in zip(tries, aims, strict=True)
        ]
        loss = torch.stack(apart).mean() + sum(
            functional.kl_div(one.log_softmax(1), other.log_softmax(1), reduction="batchmean", log_target=True)
            for one, other in zip(answer, aim, strict=True)
        )
        if not loss.isfinite():
            raise misfit()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, step / warm_up) * (1 + math.cos(math.pi * step / len(batches))) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.requires_grad_(False)


@contextmanager
def _sent_on(network: Network) -> Iterator[list[Tensor]]:
    """Note what each block sends on while the network answers."""
    sent: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _, __, output: sent.append(output)) for block in _blocks(network)]
    try:
        yield sent
    finally:
        for hook in hooks:
            hook.remove()


def _mirror_order(faces: Faces) -> Tensor:
    return torch.from_numpy(mirror_order(shape_statistics(faces)[0]))

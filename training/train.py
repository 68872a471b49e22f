"""Prepared crops -> a trained network, in checkpoints that resume."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from inference import CheckpointError, checkpoint
from inference.checkpoint import Architecture
from inference.crops import LANDMARKS
from inference.network import Logits, Network, multiplies_bfloat16
from inference.reading import EXPRESSIONS
from training.augment import augment, mirror, mirror_order
from training.config import Config
from training.data import FER_PLUS, SPLITS, Faces, targets, training_rows, truth
from training.files import DataError, Place, local, make_folder, place, write

CHECKPOINT = "last.pt"
WAIT = timedelta(minutes=10)
"""For a process that has gone; longer than the first one needs to measure and save."""
HISTORY = "history.jsonl"
_STORED = {"config", "data", "init", "teacher", "epoch", "network", "averaged", "optimizer"}
"""What every checkpoint has; `_Run.save` writes it."""

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def train(faces: Faces, config: Config, out: Place) -> Network:
    """Train, or go on where an earlier run in `out` stopped, and return the averaged network.

    `out` receives the checkpoint after every epoch and a line of figures in history.jsonl. Under torchrun, all
    processes train together, each on its part of every batch, and the first one writes.

    Raises:
        DataError: the recipe makes no sense, no training rows, no such teacher, nothing can be written in `out`, it
            holds a run of another recipe or other data, the processes were given different data, or training diverged.
    """
    config.check()
    with _together() as crew:
        return _train(faces, config, out, crew)


def _train(faces: Faces, config: Config, out: Place, crew: _Crew) -> Network:
    crew.agree(faces.fingerprint(), asdict(config))
    # Only the first process looks into `out`: other machines need not see it. Better an error now than after the
    # teachers were asked.
    crew.share(lambda: make_folder(out))
    run = _Run(faces, config, crew)
    state = crew.share(lambda: run.stored(out / CHECKPOINT))
    if state:
        try:
            run.restore(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise DataError(f"{out / CHECKPOINT}: of another version; choose another --out or delete it") from error
    for epoch in range(run.epoch, config.epochs):
        started = time.monotonic()
        loss = run.learn(epoch)
        if crew.rank:
            continue
        figures = {
            "epoch": epoch + 1,
            "loss": loss,
            **check(run.averaged, faces),
            "seconds": time.monotonic() - started,
        }
        run.save(out / CHECKPOINT)
        line = json.dumps({name: round(value, 5) for name, value in figures.items()}) + "\n"
        write(out / HISTORY, _content(out / HISTORY) + line.encode())
        tqdm.write("  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return run.averaged


def _content(file: Place) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def predict(network: Network, faces: Faces, batch: int = 512) -> Logits:
    """Return the logits of every face, (n, 8) and (n, 7) float32 on the CPU.

    Args:
        network: on any device.
        faces: n of them.
        batch: faces at a time.
    """
    network.eval()
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(faces), batch):
            crops = torch.from_numpy(faces.crops[start : start + batch])
            shapes = torch.from_numpy(faces.shapes[start : start + batch]).float()
            parts.append(Logits(*(head.float().cpu() for head in network(crops.to(device), shapes.to(device)))))
    return Logits(*(torch.cat(head) for head in zip(*parts, strict=True)))


def architecture(config: Config, inner: Sequence[int] = ()) -> Architecture:
    """Return the network that a recipe trains; `inner`: the widths inside its blocks, of a pruned one.

    Raises:
        DataError: these are not one for each block.
    """
    try:
        return Architecture(config.widths, config.blocks, config.shape, len(FER_PLUS), inner=tuple(inner))
    except ValueError as error:
        raise DataError(f"--blocks: {error} in the network to begin with") from error


def crop_side(config: Config, epoch: int) -> int:
    """Return the side of the crops in an epoch, in pixels: each for an equal stretch, the largest to the end.

    Args:
        config: its `small_side`, `side`, `growth` and `epochs` count.
        epoch: counted from 0.
    """
    sides = [*range(config.small_side, config.side, 16), config.side]
    stretch = config.growth * config.epochs / max(1, len(sides) - 1)
    return sides[min(len(sides) - 1, int(epoch / stretch))] if stretch else config.side


def widen(before: Network, network: Network) -> dict[str, Tensor]:
    """Return another network's weights laid out as `network`'s.

    Layers the other lacks keep `network`'s values; where its heads have fewer inputs, the new ones are 0.

    Args:
        before: the other network.
        network: the one to fill; it is left as it is.

    Raises:
        ValueError: the two differ in more than that; the message names the layer.
    """
    wide = {}
    old = before.state_dict()
    for name, value in network.state_dict().items():
        wide[name] = value.clone()
        if name not in old:
            continue
        more = value.ndim > 1 and old[name].shape[1] > value.shape[1]
        if more or old[name].shape[:1] != value.shape[:1] or old[name].shape[2:] != value.shape[2:]:
            raise ValueError(f"its {name} is {tuple(old[name].shape)}, this recipe's {tuple(value.shape)}")
        if value.ndim > 1:
            wide[name].zero_()[:, : old[name].shape[1]] = old[name]
        else:
            wide[name].copy_(old[name])
    return wide


def check(network: Network, faces: Faces) -> dict[str, float]:
    """Return PublicTest's accuracies, 0 to 1: the choice between recipes is made on these alone."""
    public = faces[faces.split == SPLITS["PublicTest"]]
    if not len(public):
        return {}
    logits = predict(network, public)
    winners = truth(public)
    figures = {}
    if (seven := (winners >= 0) & (winners < len(EXPRESSIONS))).any():
        answers = logits.votes[:, : len(EXPRESSIONS)].argmax(dim=1).numpy()
        figures["fer_plus_7"] = float((answers == winners)[seven].mean())
    if (labelled := public.labels >= 0).any():
        figures["fer2013"] = float((logits.labels.argmax(dim=1).numpy() == public.labels)[labelled].mean())
    return figures


def read_state(path: Place) -> dict[str, Any]:
    """Return what a checkpoint stores, on the CPU.

    Raises:
        DataError: it is damaged, or no checkpoint of a run, or its store cannot be reached.
    """
    stored = path.read_bytes()
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        whole = state.keys() >= _STORED
    except Exception as error:  # what is no checkpoint fails in PyTorch's reader in any way
        raise DataError(f"{path}: damaged; delete it and train again") from error
    if not whole:
        raise DataError(f"{path}: no checkpoint of a run; delete it and train again")
    # Runs of earlier versions could not begin with a pruned network, and have no "contents".
    state.setdefault("inner", [])
    return state


@dataclass(frozen=True, slots=True)
class _Crew:
    """The processes that train together; rank 0 is the first."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, make: Callable[[], _Made]) -> _Made:
        """Return what the first process makes; where it raises DataError, every process does, and none waits for it."""
        if self.size == 1:
            return make()
        box: list[Any] = [None, None]
        if not self.rank:
            try:
                box[0] = make()
            except DataError as error:
                box[1] = str(error)
        distributed.broadcast_object_list(box, device=self.device)
        made, problem = box
        if problem:
            raise DataError(problem)
        return made  # type: ignore[no-any-return]

    def agree(self, *facts: Any) -> None:
        """Raise DataError in every process unless all were given the same."""
        differing = torch.tensor(float(self.share(lambda: facts) != facts))
        if self.sum(differing):
            raise DataError("the processes were given different data or recipes; start all with the same")

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, on this one's device."""
        values = values.to(self.device)
        if self.size > 1:
            distributed.all_reduce(values)
        return values


@contextmanager
def _together() -> Iterator[_Crew]:
    """Join the other processes, when torchrun started this one."""
    cuda = torch.cuda.is_available()
    torch.backends.cudnn.benchmark = cuda  # few sides, many steps: the search for the fastest convolution pays
    if not distributed.is_torchelastic_launched():
        yield _Crew(device=torch.device("cuda" if cuda else "cpu"))
        return
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    # A process that fails ends the others on its machine by torchrun, on other machines by this wait.
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=WAIT)
    try:
        yield _Crew(distributed.get_rank(), distributed.get_world_size(), device)
        distributed.barrier()  # nobody leaves while the first one still measures and saves
    finally:
        distributed.destroy_process_group()


class _Run:
    """The state of a training: what a checkpoint stores, and one epoch's work."""

    def __init__(self, faces: Faces, config: Config, crew: _Crew) -> None:
        torch.manual_seed(config.seed)
        self.device = crew.device
        rows = training_rows(faces)
        if not len(rows):
            raise DataError("the data hold no rows to train on")
        self.size = min(config.batch, len(rows))
        if self.size < 2 * crew.size:
            raise DataError(
                f"a batch of {self.size} is too small: every process, {crew.size} in all, takes 2 rows at least"
            )
        kept = faces[rows]
        self.config, self.crew = config, crew
        self.origin: dict[str, Any] = {
            "data": faces.source,
            "contents": faces.fingerprint(),
            "init": "",
            "teacher": [],
            "inner": [],
        }
        self.crops = torch.from_numpy(kept.crops).to(self.device)
        self.shapes = torch.from_numpy(kept.shapes).to(self.device)
        self.votes = torch.from_numpy(targets(kept)).to(self.device)
        self.labels = _smoothed(torch.from_numpy(kept.labels.astype(np.int64)), config.smoothing).to(self.device)
        mean, deviation = shape_statistics(kept)
        self.order = torch.from_numpy(mirror_order(mean)).to(self.device)
        if config.teacher:
            heard = self._ask([self._teacher(address) for address in config.teacher])
            self.votes, self.labels = (
                _taught(*pair, config.teach) for pair in zip((self.votes, self.labels), heard, strict=True)
            )
        self.network = self._begin_with(config.init) if config.init else Network(architecture(config))
        if self.network.shape is not None:
            self.network.shape.mean.copy_(torch.from_numpy(mean))
            self.network.shape.deviation.copy_(torch.from_numpy(deviation))
        self.network = self.network.to(self.device).channels_last()
        self.averaged = copy.deepcopy(self.network)
        self.update_averages = get_ema_multi_avg_fn(config.average)
        self.learner: nn.Module = DistributedDataParallel(self.network) if crew.size > 1 else self.network
        # Norms and biases are left to find their own size.
        large = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        small = [parameter for parameter in self.network.parameters() if parameter.ndim <= 1]
        self.optimizer = torch.optim.SGD(
            [{"params": large, "weight_decay": config.decay}, {"params": small, "weight_decay": 0.0}],
            lr=config.rate,
            momentum=0.9,
            nesterov=True,
            fused=self.device.type == "cuda",
        )
        self.epoch = 0

    def _load(self, role: str, address: str) -> tuple[Network, str]:
        """Return another network and the hash of its file."""
        try:
            with local(place(address)) as path:
                return Network.of(checkpoint.load(path)), hashlib.sha256(path.read_bytes()).hexdigest()
        except CheckpointError as error:
            raise DataError(f"--{role} {address}: {error}") from error

    def _teacher(self, address: str) -> Network:
        network, mark = self._load("teacher", address)
        self.origin["teacher"].append(mark)
        return network.folded().to(self.device).channels_last()

    def _begin_with(self, address: str) -> Network:
        """Return another network as this recipe goes on with it; where a head has more inputs, these are silent."""
        before, self.origin["init"] = self._load("init", address)
        self.origin["inner"] = list(before.architecture.inner)
        network = Network(architecture(self.config, before.architecture.inner))
        try:
            network.load_state_dict(widen(before, network))
        except ValueError as error:
            raise DataError(f"--init {address}: {error}") from error
        return network

    def _progress(self, items: Iterable[_Item], title: str) -> tqdm[_Item]:
        """Return the items with a bar, which the first process alone shows, unless TQDM_DISABLE says no."""
        quiet: dict[str, Any] = {"disable": True} if self.crew.rank else {}
        return tqdm(items, desc=title, leave=False, **quiet)

    def learn(self, epoch: int) -> float:
        """Do one epoch and return its mean loss. Chance depends on seed and epoch alone, so a resumed run repeats.

        Raises:
            DataError: the loss is not finite: training diverged.
        """
        chance = self.config.seed * 1_000_003 + epoch
        order = torch.randperm(len(self.crops), generator=torch.Generator().manual_seed(chance)).to(self.device)
        generator = torch.Generator(self.device).manual_seed(chance * 1_009 + self.crew.rank)
        torch.manual_seed(chance * 1_009 + self.crew.rank)
        side = crop_side(self.config, epoch)
        self.learner.train()
        steps = len(order) // self.size
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        bar = self._progress(range(steps), f"epoch {epoch + 1}/{self.config.epochs}")
        for step in bar:
            rate = self.config.rate * _schedule((epoch + step / steps) / self.config.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self._loss(order[step * self.size : (step + 1) * self.size], side, generator)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self.optimizer.step()
            self._average()
            total += loss.detach()
            if step % 20 == 0:  # to look at a number makes a GPU wait
                bar.set_postfix(loss=f"{float(total) / (step + 1):.3f}", refresh=False)
        self.epoch = epoch + 1
        mean = float(self.crew.sum(total / steps)) / self.crew.size
        if not math.isfinite(mean):
            raise DataError(f"training diverged in epoch {self.epoch}; choose another --out and a lower --rate")
        return mean

    def _loss(self, batch: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """Return the loss of this process's part of a batch; the mean over all processes is the whole batch's loss.

            loss = W * (votes / K_votes + label_weight * labels / K_labels)

        `votes` and `labels` are the heads' cross-entropies, summed over this process's rows; K is how many rows of the
        whole batch have a target for that head (at least 1); W is the number of processes. DistributedDataParallel
        averages gradients over W processes, so what it steps by is exactly that of sum / K over the whole batch,
        however unevenly targets are spread over the processes.
        """
        rows = batch[self.crew.rank :: self.crew.size]
        crops, shapes = augment(
            self.crops[rows],
            self.shapes[rows].float(),
            self.order,
            side,
            generator,
            clear=self.config.clear,
            hide=self.config.hide,
        )
        wanted = Logits(self.votes[rows], self.labels[rows])
        if self.config.mixup:
            crops, shapes, wanted = _mixed(crops, shapes, wanted, self.config.mixup, generator)
        with self._in_half():
            logits = self.learner(crops, shapes)
        votes, labels = (
            _cross_entropy(answers, shares) / _known(every[batch]) * self.crew.size
            for answers, shares, every in zip(logits, wanted, (self.votes, self.labels), strict=True)
        )
        return votes + self.config.label_weight * labels

    def _in_half(self) -> torch.autocast:
        """Return a context that multiplies in bfloat16 where the device can, which halves the time there."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=multiplies_bfloat16(self.device))

    def _ask(self, teachers: Sequence[Network]) -> Logits:
        """Return the teachers' mean answers to every face and its mirror image, as shares."""
        answers = Logits(torch.zeros_like(self.votes), torch.zeros_like(self.labels))
        rows = torch.arange(self.crew.rank, len(self.crops), self.crew.size, device=self.device)
        for some in self._progress(rows.split(64), "the teachers' answers"):
            crops, shapes = self.crops[some], self.shapes[some].float()
            views = (crops, shapes), (crops.flip(2), mirror(shapes, self.order))
            with torch.no_grad(), self._in_half():
                heard = [teacher(*view) for teacher in teachers for view in views]
            for answer, logits in zip(answers, zip(*heard, strict=True), strict=True):
                answer[some] = torch.stack([one.float().softmax(dim=1) for one in logits]).mean(dim=0)
        return Logits(*(self.crew.sum(answer) for answer in answers))

    def _average(self) -> None:
        means, values = (
            [value for value in network.state_dict().values() if value.is_floating_point()]
            for network in (self.averaged, self.network)
        )
        with torch.no_grad():
            self.update_averages(means, values, 0)

    def save(self, path: Place) -> None:
        """Write the whole state; a crash while writing leaves the last one whole."""
        state = {
            "config": asdict(self.config),
            **self.origin,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        packed = io.BytesIO()
        torch.save(state, packed)
        write(path, packed.getvalue())

    def stored(self, path: Place) -> dict[str, Any] | None:
        """Return what `save` wrote, if anything; raises DataError when it belongs to another recipe or other data."""
        if not path.is_file():
            return None
        state = read_state(path)
        changed = [name for name, mark in self.origin.items() if state.get(name, mark) != mark]
        if state["config"] == asdict(self.config) and changed == ["contents"]:
            raise DataError(f"{path}: its data were prepared otherwise than these; choose another --out or delete it")
        if state["config"] != asdict(self.config) or changed:
            raise DataError(f"{path}: belongs to another recipe or other data; choose another --out or delete it")
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `stored` returned."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


def shape_statistics(faces: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of every coordinate over the faces with a mesh, (LANDMARKS, 3) each.

    Without any they are 0 and 1.
    """
    seen = faces.shapes[~np.isnan(faces.shapes[:, 0, 0])].astype(np.float32)
    if not len(seen):
        return np.zeros((LANDMARKS, 3), np.float32), np.ones((LANDMARKS, 3), np.float32)
    return seen.mean(axis=0), seen.std(axis=0) + np.float32(1e-3)


def _smoothed(labels: Tensor, smoothing: float) -> Tensor:
    """Return shares over `EXPRESSIONS`, (n, 7) float; all zero where there is no label."""
    shares = functional.one_hot(labels.clamp(min=0), len(EXPRESSIONS)) * (1 - smoothing) + smoothing / len(EXPRESSIONS)
    return shares * (labels >= 0)[:, None]


def _cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Return the summed cross-entropy of the rows that have shares to learn; 0 without any."""
    return -(shares * functional.log_softmax(logits.float(), dim=1)).sum()


def _taught(shares: Tensor, answers: Tensor, teach: float) -> Tensor:
    """Mix the teachers' answers into the shares of the rows that have any."""
    return torch.where(shares.sum(dim=1, keepdim=True) > 0, shares.lerp(answers, teach), shares)


def _mixed(
    crops: Tensor, shapes: Tensor, wanted: Logits, chosen: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Logits]:
    """Mix the face before into a share of the faces, by up to a half; these have no shape."""
    draw = torch.rand(2, len(crops), 1, generator=generator, device=crops.device)
    share = torch.where(draw[0] < chosen, 0.5 * draw[1], 0.0)
    return (
        torch.lerp(crops, crops.roll(1, 0), share[..., None]),
        torch.where(share[..., None] > 0, torch.nan, shapes),
        Logits(*(torch.lerp(head, head.roll(1, 0), share) for head in wanted)),
    )


def _known(shares: Tensor) -> Tensor:
    """Return how many rows have shares to learn, at least 1."""
    return (shares.sum(dim=1) > 0).sum().clamp(min=1)


def _schedule(progress: float) -> float:
    """Return the share of the peak learning rate at `progress`, 0 to 1: 5 % warm-up, then a cosine to zero."""
    warm = 0.05
    return progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))

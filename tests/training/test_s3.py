"""Data and runs in a bucket are the same as on disk; the server is rclone's, a program of its own on a real socket."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import checkpoint
from inference.calibration import Calibration
from inference.checkpoint import Architecture
from inference.network import Network
from tests.bot.served import wait_until
from training.__main__ import main
from training.config import Config
from training.data import Faces
from training.files import DataError, Remote, _reason, files, place, write
from training.prepare import prepare
from training.train import train

TINY = Config(epochs=2, batch=16, growth=0, rate=0.03, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), average=0.8)
KEYS = {"AWS_ACCESS_KEY_ID": "face", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class Server:
    """A running S3 server: its settings, and the folder in which each folder is a bucket."""

    environment: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = shutil.which("rclone", path=str(Path(sys.executable).parent))
    assert program, "rclone is missing; make develop installs it"
    folder = tmp_path_factory.mktemp("s3")
    buckets = folder / "buckets"
    (buckets / "faces").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", keys]
    command += ["--config", os.devnull, "--cache-dir", str(folder / "cache"), str(buckets)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: answers(port), 30)
            yield Server({**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, buckets)
        finally:
            process.terminate()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A bucket in the server that this process's settings name."""
    from training import s3

    s3._bucket.cache_clear()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Remote("s3://faces")


def put(folder: Path, into: Remote) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            write(into / path.relative_to(folder).as_posix(), path.read_bytes())


def run(*arguments: str | Path | Remote) -> str:
    """Run the command line of `python -m training`, and return what it printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main([*map(str, arguments)]) == 0
    return printed.getvalue()


def losses(history: bytes) -> list[float]:
    return [json.loads(line)["loss"] for line in history.decode().splitlines()]


def test_the_whole_story_in_a_bucket_is_the_one_on_disk(
    server: Server, bucket: Remote, small_data: Path, tmp_path: Path
) -> None:
    put(small_data, bucket / "raw")
    source, votes = bucket / "raw/fer2013.csv.gz", bucket / "raw/fer2013new.csv"
    run("prepare", source, "--votes", votes, "--out", bucket / "faces.npz", "--workers", "1")
    there = Faces.load(bucket / "faces.npz")
    here = prepare(small_data / "fer2013.csv.gz", small_data / "fer2013new.csv", tmp_path / "faces.npz", workers=1)
    assert there.source == here.source
    assert np.array_equal(there.crops, here.crops)
    assert (server.folder / "faces/faces.npz").is_file()

    tiny = ["--batch", "16", "--average", "0.8", "--blocks", *"1111", "--widths", "8", "8", "16", "16"]
    tiny += ["--growth", "0", "--rate", "0.03"]
    trained = ["train", "--data", bucket / "faces.npz", "--out", bucket / "run", "--threads", "1", *tiny]
    run(*trained, "--epochs", "1")
    torch.set_num_threads(1)
    train(here, replace(TINY, epochs=1), tmp_path / "run")
    history = (bucket / "run/history.jsonl").read_bytes()
    assert losses(history) == losses((tmp_path / "run/history.jsonl").read_bytes())
    run(*trained, "--epochs", "1")  # finished: nothing is left to do
    assert (bucket / "run/history.jsonl").read_bytes() == history

    run("export", "--data", bucket / "faces.npz", "--run", bucket / "run", "--out", tmp_path / "w.safetensors")
    write(bucket / "w.safetensors", (tmp_path / "w.safetensors").read_bytes())
    said = run("evaluate", "--data", bucket / "faces.npz", "--checkpoint", bucket / "w.safetensors")
    assert json.loads(said) == checkpoint.load(tmp_path / "w.safetensors").about["figures"]


def test_a_run_in_a_bucket_resumes(bucket: Remote, made_up: Faces) -> None:
    whole = train(made_up, TINY, bucket / "whole")
    halves = bucket / "halves"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.train.check", interrupt_in_epoch(2))
        with pytest.raises(KeyboardInterrupt):
            train(made_up, TINY, halves)
    assert len(losses((halves / "history.jsonl").read_bytes())) == 1
    resumed = train(made_up, TINY, halves)
    assert len(losses((halves / "history.jsonl").read_bytes())) == 2
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def interrupt_in_epoch(number: int) -> object:
    done = 0

    def check(*_: object) -> dict[str, float]:
        nonlocal done
        done += 1
        if done == number:
            raise KeyboardInterrupt
        return {}

    return check


@pytest.fixture(scope="session")
def made_up() -> Faces:
    return make_up(64)


def make_up(count: int) -> Faces:
    """Noise with two labels: enough to train on, and made in no time."""
    chance = np.random.default_rng(0)
    none = np.zeros(count, np.bool_)
    return Faces(
        crops=chance.integers(0, 256, (count, 64, 64), np.uint8),
        shapes=chance.random((count, 478, 3)).astype(np.float16),
        votes=np.zeros((count, 10), np.uint8),
        labels=(3 * (np.arange(count) % 2)).astype(np.int8),
        split=np.zeros(count, np.uint8),
        found=~none,
        twin=none,
        source="made up",
    )


def test_people_and_folders_in_a_bucket(bucket: Remote, tmp_path: Path, portrait: bytes) -> None:
    for name in ("people/images/one.jpg", "classes/train/happy/one.jpg", "classes/test/sad/two.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(portrait)
    (tmp_path / "classes/train/happy/.DS_Store").write_bytes(b"junk")
    (tmp_path / "people/labels.csv").write_text("file,label,person\none.jpg,happy,ada\n")
    put(tmp_path, bucket / "sets")
    for name in ("people/labels.csv", "classes"):
        there = prepare(bucket / "sets" / name, None, bucket / "sets.npz", workers=1)
        here = prepare(tmp_path / name, None, tmp_path / "sets.npz", workers=1)
        assert there.source == here.source
        assert np.array_equal(there.crops, here.crops)


def test_a_teacher_in_a_bucket(bucket: Remote, made_up: Faces, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.safetensors"
    checkpoint.save(teacher, Network(Architecture(TINY.widths, TINY.blocks)).checkpoint(Calibration(), {}))
    write(bucket / "teacher.safetensors", teacher.read_bytes())
    one, other = (
        train(made_up, replace(TINY, epochs=1, teacher=(str(where),)), tmp_path / name)
        for where, name in ((teacher, "here"), (bucket / "teacher.safetensors", "there"))
    )
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    with pytest.raises(DataError, match=r"--teacher s3://faces/none: There are no weights"):
        train(made_up, replace(TINY, teacher=("s3://faces/none",)), tmp_path / "none")


@pytest.mark.parametrize("step", ["export", "prune"])
def test_weights_at_an_address_are_worked_on(step: str, made_up: Faces, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    checkpoint.save(weights, Network(Architecture(TINY.widths, TINY.blocks)).checkpoint(Calibration(), {}))
    write(place("memory://weights/w.safetensors"), weights.read_bytes())
    split = (np.arange(len(made_up)) % 2).astype(np.uint8)
    replace(made_up, split=split).save(tmp_path / "faces.npz")
    options = ["--data", str(tmp_path / "faces.npz"), "--checkpoint", "memory://weights/w.safetensors"]
    run(step, *options, "--out", tmp_path / "out.safetensors")
    assert checkpoint.load(tmp_path / "out.safetensors").architecture.widths == TINY.widths


def test_a_large_file_goes_in_parts(bucket: Remote) -> None:
    content = os.urandom(12_000_000)
    write(bucket / "large", content)
    assert (bucket / "large").read_bytes() == content


def test_other_addresses_of_fsspec() -> None:
    folder = place("memory://room")
    assert isinstance(folder, Remote)
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        write(folder / name, name.encode())
    assert [str(path) for path in files(folder, "*.*")] == ["memory://room/a.txt", "memory://room/b.txt"]
    assert (folder / "deep").is_dir()
    assert (folder / "deep/c.txt").parent == folder / "deep"
    assert (folder / "deep/c.txt").read_bytes() == b"deep/c.txt"
    assert not (folder / "none").is_file()


@pytest.mark.parametrize(
    ("address", "changes", "message"),
    [
        ("s3://nowhere/faces.npz", {}, "s3://nowhere/faces.npz: there is no such bucket"),
        ("s3://faces/none.npz", {}, "s3://faces/none.npz: no prepared data"),
        ("s3://faces/x", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://faces/x: access was refused"),
        ("s3://faces/x", {"AWS_ACCESS_KEY_ID": "somebody"}, "s3://faces/x: access was refused"),
        ("s3://faces/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://faces/x: the server cannot be reached"),
        ("s3://faces/x", {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "s3://faces/x: no credentials"),
        ("carrier-pigeon://x", {}, "carrier-pigeon://x: Protocol not known"),
    ],
)
def test_trouble_is_one_sentence(
    bucket: Remote,
    address: str,
    changes: dict[str, str | None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # where a cloud machine would ask for keys
    for name, value in changes.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    assert main(["train", "--data", address]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert len(said.splitlines()) == 1


def test_a_time_is_no_status() -> None:
    said = (
        "error sending request after 3 retries, max_retries: 3, retry_timeout: 30s, elapsed: 1.403s: connection refused"
    )
    assert _reason(OSError(said)).startswith("the server cannot be reached")
    assert _reason(OSError("Client error with status 403 Forbidden: No Body")).startswith("access was refused")

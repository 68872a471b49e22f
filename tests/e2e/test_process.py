"""``python -m bot`` as people start and stop it: one clear sentence or a clean end, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from benchmarks.processes import family, is_alive
from bot.errors import NotReady, WorkerMisplaced
from tests.e2e.served import ASTRONAUT, NO_DOT_ENV, bot_environment
from tests.inference.picture_files import encoded


@contextmanager
def started(
    *command: str, token: str = "", new_session: bool = False, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    variables = {f"FACE2EMOJI_{name}": value for name, value in settings.items()}
    environment = bot_environment(TELEGRAM_BOT_TOKEN=token, **variables)
    command = (sys.executable, "-m", "bot", *command)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=NO_DOT_ENV, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=new_session
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in output + errors
    return process.returncode, output, errors.strip()


def wait_for_page(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok"
            return
        time.sleep(0.05)
    pytest.fail("the page did not answer")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("command", ["run", "doctor"])
@pytest.mark.parametrize("imported", ["argparse", "inference", "uvicorn", "bot.app"])
def test_ctrl_c_ends_it_without_a_word_however_early(
    imported: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # Python says on standard error what it imports
    settings = {"PORT": str(free_port()), "DATABASE_URL": f"sqlite:///{tmp_path / 'bot.db'}"}
    with started(command, new_session=True, **settings) as process:
        assert process.stderr
        assert any(line.split("|")[-1].strip() == imported for line in process.stderr)
        os.killpg(process.pid, signal.SIGINT)
        code, _, errors = end(process)
    assert code in (0, 130, -signal.SIGINT)
    assert [line for line in errors.splitlines() if not line.startswith("import time:")] == []


def test_a_reader_of_the_output_may_leave() -> None:
    with started("manifest") as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


def test_wrong_settings_are_all_named_in_one_line() -> None:
    with started(PORT="eighty", WORKERS="0") as process:
        code, output, errors = end(process)
    assert (code, output) == (2, "")
    assert len(errors.splitlines()) == 1
    assert "FACE2EMOJI_PORT" in errors
    assert "FACE2EMOJI_WORKERS" in errors


@pytest.mark.parametrize(
    ("token", "message"), [("", WorkerMisplaced.no_platform), ("123456789:AAF", WorkerMisplaced.not_shared)]
)
def test_a_worker_that_could_do_nothing_says_so_and_is_not_started_again(token: str, message: str) -> None:
    with started("worker", token=token) as process:
        # 2 is what the service in docs/telegram.md goes by.
        assert end(process) == (2, "", message)


def test_feedback_is_printed_as_csv(tmp_path: Path) -> None:
    with started("feedback", DATABASE_URL=f"sqlite:///{tmp_path / 'bot.db'}") as process:
        assert end(process) == (0, "given,corrected,model,count\n", "There is no feedback yet.")
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_said_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started(PORT=port) as process:
            code, output, errors = end(process)
    assert (code, output) == (1, "")
    assert errors == (
        f"Port {port} on 127.0.0.1 is already in use. "
        "Stop the other program or set FACE2EMOJI_PORT to a free port."
    )  # fmt: skip


def test_a_host_that_is_none_of_ours_is_said_in_one_sentence() -> None:
    with started(HOST="192.0.2.1", PORT="0") as process:
        code, output, errors = end(process)
    assert (code, output) == (1, "")
    assert errors.startswith("Cannot listen on 192.0.2.1, port 0: ")
    assert len(errors.splitlines()) == 1


def test_missing_weights_end_the_bot_with_a_sentence(tmp_path: Path) -> None:
    with started(PORT="0", CHECKPOINT=str(tmp_path / "none.safetensors")) as process:
        code, output, errors = end(process)
    assert (code, output) == (2, "")
    *_, sentence, where = errors.splitlines()
    assert "weights" in sentence
    assert where == "It is set by FACE2EMOJI_CHECKPOINT."


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_while_the_model_loads(number: signal.Signals) -> None:
    port = free_port()
    with started(PORT=str(port)) as process:
        wait_for_page(port)
        sent = time.monotonic()
        process.send_signal(number)
        code, _, _ = end(process)
    assert code == 0
    assert time.monotonic() - sent < 15


def family_of(process: subprocess.Popen[str]) -> list[int]:
    return list(family(process.pid))


def post(port: int, data: bytes) -> int:
    with urlopen(f"http://127.0.0.1:{port}/api/read", data, timeout=60) as answer:
        return int(answer.status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminal_and_a_service_manager_signal_all_processes_and_the_photo_is_finished(
    number: signal.Signals,
) -> None:
    port = free_port()
    large = encoded(Image.new("RGB", (6000, 6000), "white"), "PNG")
    with started(PORT=str(port), WORKERS="1", new_session=True) as process, ThreadPoolExecutor(1) as client:
        assert process.stdout
        assert process.stdout.readline().startswith("Face2Emoji is ready")
        reading = client.submit(post, port, large)
        time.sleep(0.2)
        children = family_of(process)[1:]
        os.killpg(process.pid, number)
        assert reading.result(60) == 200
        code, _, errors = end(process)
    assert (code, errors) == (0, "")
    assert children
    deadline = time.monotonic() + 10
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, children))


def test_a_signal_while_many_photos_wait_is_obeyed_in_ten_seconds_and_told_to_those_who_wait() -> None:
    port = free_port()
    large = encoded(Image.new("RGB", (7000, 7000), "white"), "PNG")

    def ask(_: int) -> tuple[int, str]:
        answer = httpx.post(f"http://127.0.0.1:{port}/api/read", content=large, timeout=60)
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    with started(PORT=str(port), WORKERS="1", RATE_LIMIT="0") as process, ThreadPoolExecutor(12) as clients:
        assert process.stdout
        assert process.stdout.readline().startswith("Face2Emoji is ready")
        answers = clients.map(ask, range(12))
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        code, _, errors = end(process)
        assert time.monotonic() - sent < 10
        assert (503, NotReady.stopping) in (seen := list(answers))
    assert set(seen) <= {(200, ""), (503, NotReady.stopping)}
    assert code == 0
    assert "unexpected" not in errors


def test_a_signal_while_a_photo_still_arrives_is_told_to_its_sender() -> None:
    port = free_port()
    with started(PORT=str(port), WORKERS="1") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Face2Emoji is ready")
        sender = socket.create_connection(("127.0.0.1", port), 30)
        sender.sendall(b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nbegun")
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        with sender, sender.makefile("rb") as file:
            answer = file.read().decode()
        code, _, errors = end(process)
    assert answer.startswith("HTTP/1.1 503 ")
    assert "retry-after: 2" in answer
    assert '"code":"not_ready"' in answer
    assert NotReady.stopping in answer
    assert (code, [line for line in errors.splitlines() if "refused" not in line]) == (0, [])


def test_the_bot_s_own_process_loads_no_native_decoder_and_no_network() -> None:
    port = free_port()
    with started(PORT=str(port), WORKERS="1") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Face2Emoji is ready")
        assert post(port, ASTRONAUT.read_bytes()) == 200
        assert loaded(process.pid) == set()
        everything = set().union(*map(loaded, family_of(process)))
        assert {"onnxruntime", "mediapipe", "cv2", "PIL"} <= everything
        assert "torch" not in everything


def loaded(process: int) -> set[str]:
    """Return which packages of native code a process has mapped."""
    maps = Path(f"/proc/{process}/maps").read_text()
    return {
        name
        for name in ("onnx", "onnxruntime", "torch", "mediapipe", "cv2", "numpy", "PIL", "pillow_heif")
        if f"/{name}/" in maps
    }


def test_logs_are_json_lines_where_nobody_looks_on() -> None:
    port = free_port()
    with started(PORT=str(port), LOG_LEVEL="debug") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Face2Emoji is ready: open http://127.0.0.1:")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                b"POST /api/read HTTP/1.1\r\nHost: x\r\nX-Who: somebody\r\nContent-Length: 5\r\n\r\nhello"
            )
            assert b" 415 " in connection.recv(4096)
        with connect(f"ws://127.0.0.1:{port}/api/live") as live:
            live.send(b"\xff", text=True)
            with pytest.raises(ConnectionClosedError):
                live.recv(timeout=10)
        process.terminate()
        code, _, errors = end(process)
    assert code == 0
    entries = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert [entry["code"] for entry in entries if entry["event"] == "refused"] == ["unsupported_format"]
    assert "somebody" not in errors
    assert "127.0.0.1" not in errors

"""Packages come by their hashes: a real pip, a real environment and small wheels of the test's own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import venv
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path

import pytest

from supply import (
    CONSTRAINTS,
    LOCKS,
    STAMPS,
    SupplyError,
    installed_alone,
    lock,
    main,
    normal,
    read_lock,
    requirements,
    verdict,
)

ROOT = Path(__file__).parent.parent
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with nothing but pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def write_wheel(folder: Path, name: str, version: str, word: str, needs: str = "") -> str:
    """Write a wheel that only has this word in it and may ask for another; return its SHA-256."""
    about = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"WORD = {word!r}\n")
        asked = f"Requires-Dist: {needs}\n" if needs else ""
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asked}")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_project(folder: Path, version: str, sha256: str) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "small"\nversion = "1"\ndependencies = ["parcel"]\noptional-dependencies = {}\n', "utf-8"
    )
    (folder / CONSTRAINTS).write_text(f"parcel=={version}\n", "utf-8")
    (folder / LOCKS[0]).write_text(f"# A lock.\nparcel=={version} \\\n    --hash=sha256:{sha256}\n", "utf-8")
    (folder / LOCKS[1]).write_text("", "utf-8")


def install(python: Path, project: Path, *groups: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [python, "-m", "supply", "install", *groups, "--no-index", f"--find-links={project}"],
        cwd=project,
        env=environment | {"PYTHONPATH": str(ROOT), "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )


def word_of(python: Path) -> str:
    command = [str(python), "-c", "import parcel; print(parcel.WORD, end='')"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_file_with_its_hash_is_installed_and_a_changed_one_is_not(python: Path, tmp_path: Path) -> None:
    write_project(tmp_path, "1.0", write_wheel(tmp_path, "parcel", "1.0", "honest"))
    assert install(python, tmp_path).returncode == 0
    assert word_of(python) == "honest"
    assert install(python, tmp_path).returncode == 0  # nothing is missing
    honest = write_wheel(tmp_path, "parcel", "2.0", "honest, too")
    write_wheel(tmp_path, "parcel", "2.0", "changed")
    write_project(tmp_path, "2.0", honest)
    done = install(python, tmp_path)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "Traceback" not in done.stderr
    assert word_of(python) == "honest"


def test_a_package_without_a_hash_is_not_installed(python: Path, tmp_path: Path) -> None:
    before = word_of(python)
    write_wheel(tmp_path, "parcel", "3.0", "unknown")
    write_project(tmp_path, "3.0", "0" * 64)
    (tmp_path / LOCKS[0]).write_text("", "utf-8")
    done = install(python, tmp_path)
    assert done.returncode == 1
    assert "parcel==3.0: no hash of it is in hashes.txt or hashes-cpu.txt" in done.stderr
    assert word_of(python) == before


def test_a_package_can_be_installed_without_what_it_asks_for(python: Path, tmp_path: Path) -> None:
    write_project(tmp_path, "4.0", write_wheel(tmp_path, "parcel", "4.0", "light", needs="ballast"))
    assert "ballast" in install(python, tmp_path).stderr  # there is none
    with (tmp_path / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write('[tool.supply]\nalone = ["parcel"]\n')
    assert install(python, tmp_path).returncode == 0
    assert word_of(python) == "light"
    (tmp_path / "parcel-4.0-py3-none-any.whl").unlink()
    assert install(python, tmp_path).returncode == 0  # nothing is missing


def test_make_trusts_the_environment_until_something_is_really_installed(python: Path, tmp_path: Path) -> None:
    stamps = [python.parent.parent / name for name in STAMPS]
    write_project(tmp_path, "5.0", write_wheel(tmp_path, "parcel", "5.0", "new"))
    (tmp_path / CONSTRAINTS).write_text("parcel==9.9\n", "utf-8")  # there is none
    for stamp in stamps:
        stamp.touch()
    assert install(python, tmp_path).returncode == 1
    assert all(stamp.exists() for stamp in stamps)
    (tmp_path / CONSTRAINTS).write_text("parcel==5.0\n", "utf-8")
    assert install(python, tmp_path).returncode == 0
    assert not any(stamp.exists() for stamp in stamps)


@pytest.mark.parametrize("command", ["audit", "lock", "sbom"])
def test_what_a_command_needs_is_named(python: Path, tmp_path: Path, command: str) -> None:
    write_project(tmp_path, "1.0", "0" * 64)
    more = ["x.json"] if command == "sbom" else []
    done = subprocess.run(
        [python, "-m", "supply", command, *more],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("This needs ")
    assert done.stderr.count("\n") == 1


def test_what_is_installed_alone_is_wanted() -> None:
    assert installed_alone(ROOT / "pyproject.toml") <= set(requirements(ROOT / "pyproject.toml", []))


def test_a_group_that_is_none_is_named(python: Path, tmp_path: Path) -> None:
    write_project(tmp_path, "1.0", "0" * 64)
    assert "has no group coffee" in install(python, tmp_path, "coffee").stderr


def test_pytorchs_builds_have_hashes_of_their_own() -> None:
    known = {pin: hashes for name in LOCKS for pin, hashes in read_lock((ROOT / name).read_text("utf-8")).items()}
    lines = {}
    for build in ("2.13.0", "2.13.0+cpu"):
        [lines[build]] = lock([{"metadata": {"name": "Torch", "version": build}}], known)
    assert not set(HASH.findall(lines["2.13.0"])) & set(HASH.findall(lines["2.13.0+cpu"]))
    with pytest.raises(SupplyError, match=r"torch==2\.13\.0\+cu126"):
        lock([{"metadata": {"name": "torch", "version": "2.13.0+cu126"}}], known)


def test_every_version_has_its_hashes() -> None:
    pins = [line for line in (ROOT / CONSTRAINTS).read_text("utf-8").splitlines() if not line.startswith("#")]
    locked = read_lock((ROOT / LOCKS[0]).read_text("utf-8"))
    assert list(locked) == pins
    of_cpu = read_lock((ROOT / LOCKS[1]).read_text("utf-8"))
    assert list(of_cpu) == [next(pin for pin in pins if pin.startswith("torch==")) + "+cpu"]
    for hashes in [*locked.values(), *of_cpu.values()]:
        assert hashes
        assert all(HASH.fullmatch(option) for option in hashes)


def test_groups_add_to_what_runs_the_bot() -> None:
    run, everything = (requirements(ROOT / "pyproject.toml", groups) for groups in ([], ["train", "dev"]))
    assert everything[: len(run)] == run
    assert {"onnxruntime", "aiohttp"} <= set(run)
    assert {"pytest", "tqdm", "torch"} <= set(everything) - set(run)
    assert requirements(ROOT / "pyproject.toml", ["gpu"]) == [*run, "torch"]


# Looking at them


def test_an_audit_without_a_way_to_the_advisories_says_so_and_fails_nothing() -> None:
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "https_proxy": nowhere, "NO_PROXY": ""}
    command = [sys.executable, "-m", "supply", "audit"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The advisories cannot be reached from here: no package was audited.")
    assert done.stdout.count("\n") == 1


class Advisories(BaseHTTPRequestHandler):
    """A service of advisories that speaks OSV's protocol, and knows one: of Pillow, before 99.0."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        releases = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}
        affected = {"package": query["package"], "ranges": [releases]}
        weakness = {"id": "TEST-1", "modified": "2026-01-01T00:00:00Z", "summary": "", "affected": [affected]}
        answer = json.dumps({"vulns": [weakness]} if query["package"]["name"] == "pillow" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


def test_an_audit_asks_for_every_package_and_names_what_is_weak() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1/query"
        environment = os.environ | {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url}
        command = [sys.executable, "-m", "supply", "audit"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        server.shutdown()
    number = len(read_lock((ROOT / LOCKS[0]).read_text("utf-8")))
    first, last = done.stdout.splitlines()
    assert re.fullmatch(r"pillow [\d.]+: TEST-1, mended in 99\.0", first)
    assert last.startswith(f"{number} of {number} packages were audited: 1 ")
    assert (done.returncode, done.stderr) == (1, "")


def test_weaknesses_are_named_and_counted() -> None:
    weak = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "bad"}
    packages = [
        {"name": "a", "version": "1.0", "vulns": [weak, {**weak, "id": "PYSEC-2", "fix_versions": []}]},
        {"name": "b", "version": "1.0", "vulns": []},
        {"name": "c", "version": "1.0", "skip_reason": "unknown"},
    ]
    assert verdict({"dependencies": packages}) == [
        "a 1.0: PYSEC-1, mended in 1.1",
        "a 1.0: PYSEC-2, mended in no version yet",
        "2 of 3 packages were audited: 2 known weaknesses.",
    ]
    assert verdict({"dependencies": packages[1:]}) == ["1 of 2 packages were audited: 0 known weaknesses."]
    assert "no package was audited" in verdict({"dependencies": packages[2:]})[0]


def test_the_bill_of_materials_is_valid_and_lists_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "sbom.json"
    assert main(["sbom", str(path)]) == 0  # it validates what it wrote
    bill = json.loads(path.read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {(normal(part["name"]), part["version"]) for part in bill["components"]}
    assert listed == {(normal(part.metadata["Name"]), part.version) for part in distributions()}
    assert bill["metadata"]["component"]["name"] == "face2emoji"


def test_everything_that_is_installed_is_listed_with_its_size_and_who_asks_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["contents"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines[2:]]
    *large, smaller, total = rows
    sizes = {name: int(size) for name, _version, size, _by in large}
    assert sizes["torch"] > 300
    assert sizes["torch"] == max(sizes.values())
    asked_for_by = {name: by for name, _version, _size, by in large}
    assert asked_for_by["torch"] == "Face2Emoji"
    assert asked_for_by["sympy"].split(", ")[-1] == "torch"
    assert asked_for_by["psycopg-binary"] == "psycopg"  # as an extra
    everything = len(list(distributions()))
    assert smaller[0] == f"{everything - len(large)} smaller ones"
    assert total[0] == f"all {everything}"
    assert abs(int(total[2]) - sum(sizes.values()) - int(smaller[2])) <= len(large)


def test_what_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["audit", "--coffee"])
    assert "unknown: --coffee" in capsys.readouterr().err

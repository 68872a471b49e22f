"""Where the packages come from: installs them by their hashes, audits them, lists them.

    python -m supply install [GROUP ...] [--PIP-OPTION ...]
    python -m supply lock
    python -m supply audit
    python -m supply sbom FILE
    python -m supply contents [--system]

`constraints.txt` has every package's version, `hashes.txt` the SHA-256 of each file that the public index has of it,
`hashes-cpu.txt` those of PyTorch's CPU build. `install` runs before anything is installed, so this file needs nothing
but Python's own library.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOCKS = ("hashes.txt", "hashes-cpu.txt")
CONSTRAINTS = "constraints.txt"
SMALL = 4
STAMPS = (".run", ".all")
"""By which make knows that the environment is whole."""


class SupplyError(Exception):
    """What keeps packages from being installed or looked at, for people."""


def requirements(project: Path, groups: Iterable[str]) -> list[str]:
    """Return what the bot runs on, and what these groups of pyproject.toml add.

    Raises:
        SupplyError: there is no such group.
    """
    table = tomllib.loads(project.read_text("utf-8"))["project"]
    known = table["optional-dependencies"]
    if wrong := [group for group in groups if group not in known]:
        raise SupplyError(f"pyproject.toml has no group {', '.join(wrong)}; it has {', '.join(known)}.")
    return [*table["dependencies"], *(name for group in groups for name in known[group])]


def installed_alone(project: Path) -> set[str]:
    """Return the packages that pyproject.toml wants without what they ask for."""
    tools = tomllib.loads(project.read_text("utf-8")).get("tool", {})
    return set(tools.get("supply", {}).get("alone", []))


def read_lock(text: str) -> dict[str, list[str]]:
    """Return pip's options ``--hash=sha256:...`` of each ``name==version``."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = (entry.split() for entry in "\n".join(lines).replace("\\\n", " ").splitlines())
    return {entry[0]: entry[1:] for entry in entries if entry}


def lock(chosen: Sequence[Mapping[str, Any]], known: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the requirements that pip chose, each with the hashes that its file may have.

    Args:
        chosen: what pip would install, from its installation report.
        known: from `read_lock`.

    Raises:
        SupplyError: a package is in no list.
    """
    pins = [f"{normal(item['metadata']['name'])}=={item['metadata']['version']}" for item in chosen]
    if unknown := [pin for pin in pins if pin not in known]:
        text = (
            "{pins}: no hash of it is in {locks}, so it is not installed. After a change of {constraints}, `make lock`."
        )
        raise SupplyError(text.format(pins=", ".join(unknown), locks=" or ".join(LOCKS), constraints=CONSTRAINTS))
    return [" ".join([pin, *known[pin]]) for pin in pins]


def normal(name: str) -> str:
    """Return a package's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def install(groups: Sequence[str], options: Sequence[str]) -> None:
    """Install the packages that are missing; none whose file has another hash than the list, and nothing that builds.

    First pip says which ones it would choose, because the indexes it is set up with decide on PyTorch's build. Then it
    installs just those, in its hash-checking mode.

    Args:
        groups: of pyproject.toml, besides what runs the bot.
        options: pip's, such as another index.

    Raises:
        SupplyError: pip failed, and has said why; or see `lock`.
    """
    project = Path("pyproject.toml")
    known = {pin: hashes for name in LOCKS for pin, hashes in read_lock(Path(name).read_text("utf-8")).items()}
    wanted, alone = requirements(project, groups), installed_alone(project)
    print("Looking which packages are missing; that takes up to a minute.", flush=True)
    missing = _missing([name for name in wanted if name not in alone], options)
    missing += _missing([name for name in wanted if name in alone], ["--no-deps", *options])
    if lines := lock(missing, known):
        with tempfile.TemporaryDirectory() as folder:
            locked = Path(folder) / "locked.txt"
            locked.write_text("\n".join(lines), "utf-8")
            for stamp in STAMPS:
                Path(sys.prefix, stamp).unlink(missing_ok=True)
            _pip("--requirement", str(locked), "--require-hashes", "--no-deps", *options)


def _missing(wanted: Sequence[str], options: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return what pip would install for these packages, from its installation report."""
    if not wanted:
        return []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        choose = ("--dry-run", "--quiet", "--report", str(report), "--constraint", CONSTRAINTS)
        _pip(*wanted, *choose, *options)
        chosen: list[Mapping[str, Any]] = json.loads(report.read_text("utf-8"))["install"]
        return chosen


def _pip(*arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--only-binary", ":all:"]
    if subprocess.run([*pip, *arguments], check=False).returncode:
        raise SupplyError("The packages could not be installed; pip says why above.")


def _need(module: str, cure: str = "run `make develop` first") -> None:
    if not find_spec(module):
        raise SupplyError(f"This needs {module}, which is not installed: {cure}.")


def write_lock() -> None:
    """Write the hashes of the versions in constraints.txt into hashes.txt, as the public index lists them.

    Raises:
        SupplyError: uv is missing, or could not ask the index.
    """
    _need("uv", f"`{sys.executable} -m pip install --constraint {CONSTRAINTS} uv`")
    path = Path(LOCKS[0])
    head = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")] if path.exists() else []
    # `--universal`: of every platform, not only this one.
    options = ("--no-deps", "--universal", "--generate-hashes", "--no-annotate", "--no-header", "--quiet")
    uv = [sys.executable, "-m", "uv", "pip", "compile", CONSTRAINTS, "--python-version", "3.11", *options]
    done = subprocess.run(uv, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SupplyError("The hashes could not be looked up; uv says why above.")
    path.write_text("".join(f"{line}\n" for line in head) + done.stdout, "utf-8")


def audit() -> int:
    """Look for known weaknesses of the packages, and print them; return 1 if there are any.

    Where the advisories cannot be reached, that is said, and is no failure.

    Raises:
        SupplyError: pip-audit is missing, or there is no list of packages.
    """
    _need("pip_audit")
    if not Path(LOCKS[0]).is_file() or not read_lock(Path(LOCKS[0]).read_text("utf-8")):
        raise SupplyError(f"{LOCKS[0]} names no package; `make lock` writes it.")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
        command = [sys.executable, "-m", "pip_audit", "--requirement", LOCKS[0], *options, "--output", str(found)]
        subprocess.run(command, check=False, capture_output=True)
        lines = verdict(json.loads(found.read_text("utf-8")) if found.exists() else {})
    print(*lines, sep="\n")
    return int(len(lines) > 1)


def verdict(found: Mapping[str, Any]) -> list[str]:
    """Return what an audit found for people: a line for each weakness, and a sentence at the end.

    Args:
        found: pip-audit's JSON; empty if it wrote none.
    """
    packages = found.get("dependencies", [])
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        return ["The advisories cannot be reached from here: no package was audited. Try again with a way to them."]
    weak = [
        f"{package['name']} {package['version']}: {weakness['id']}, mended in "
        f"{', '.join(weakness['fix_versions']) or 'no version yet'}"
        for package in audited
        for weakness in package["vulns"]
    ]
    return [*weak, f"{len(audited)} of {len(packages)} packages were audited: {len(weak)} known weaknesses."]


def write_sbom(path: Path) -> None:
    """Write what is installed beside this Python as a software bill of materials, CycloneDX 1.6 in JSON.

    Raises:
        SupplyError: cyclonedx-bom is missing, or the bill could not be written or is not valid.
    """
    _need("cyclonedx_py")
    options = ("--pyproject", "pyproject.toml", "--output-format", "JSON", "--spec-version", "1.6", "--validate")
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable, "--output-reproducible", *options]
    if subprocess.run([*command, "--output-file", str(path)], check=False).returncode:
        raise SupplyError("The bill of materials could not be written; cyclonedx-py says why above.")


def contents(system: bool) -> list[str]:
    """Return what is installed beside this Python, largest first.

    A Markdown table: name, version, megabytes on the disk, and who asks for it. What is smaller than SMALL megabytes is
    summed up in one line.

    Args:
        system: list the packages of Debian as well.
    """
    asked: dict[str, set[str]] = {}
    asked_as_extra: dict[str, set[str]] = {}
    for one in distributions():
        for need in one.requires or []:
            name = normal(re.split(r"[^\w.-]", need, maxsplit=1)[0])
            (asked_as_extra if "extra ==" in need else asked).setdefault(name, set()).add(one.name)
    project = Path("pyproject.toml")
    for name in requirements(project, tomllib.loads(project.read_text("utf-8"))["project"]["optional-dependencies"]):
        asked.setdefault(normal(name), set()).add("Face2Emoji")
    rows = []
    for one in distributions():
        files = {Path(str(one.locate_file(file))).resolve() for file in one.files or []}
        size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
        by = asked.get(normal(one.name)) or asked_as_extra.get(normal(one.name), set())
        rows.append((size, one.name, one.version, ", ".join(sorted(by))))
    if system:
        query = ["dpkg-query", "--show", "--showformat", "${Installed-Size} ${Package} ${Version}\n"]
        for line in subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
            kibibytes, name, version = line.split()
            rows.append((int(kibibytes) * 1024 / 1e6, name, version, "Debian"))
    rows.sort(reverse=True)
    large = [row for row in rows if row[0] >= SMALL]
    rest = sum(size for size, *_ in rows) - sum(size for size, *_ in large)
    return [
        "| package | version | MB | asked for by |",
        "|---|---|---|---|",
        *(f"| {name} | {version} | {size:.0f} | {by} |" for size, name, version, by in large),
        f"| {len(rows) - len(large)} smaller ones | | {rest:.0f} | |",
        f"| **all {len(rows)}** | | **{sum(size for size, *_ in rows):.0f}** | |",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m supply", description="Where the packages come from.")
    commands = parser.add_subparsers(dest="command", required=True)
    of_install = commands.add_parser("install", help="install the packages by their hashes; takes pip's options, too")
    of_install.add_argument("groups", nargs="*", help="of pyproject.toml, besides what runs the bot")
    commands.add_parser("lock", help="write hashes.txt anew, for the versions in constraints.txt")
    commands.add_parser("audit", help="look for known weaknesses of the packages")
    commands.add_parser("sbom", help="write what is installed as CycloneDX").add_argument("file", type=Path)
    of_contents = commands.add_parser("contents", help="list what is installed, with its size and who asks for it")
    of_contents.add_argument("--system", action="store_true", help="Debian's packages, too")
    options, of_pip = parser.parse_known_args(arguments)
    if of_pip and options.command != "install":
        parser.error(f"unknown: {' '.join(of_pip)}")
    try:
        if options.command == "install":
            install(options.groups, of_pip)
        elif options.command == "lock":
            write_lock()
        elif options.command == "audit":
            return audit()
        elif options.command == "contents":
            print(*contents(options.system), sep="\n")
        else:
            write_sbom(options.file)
    except SupplyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

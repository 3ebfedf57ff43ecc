"""How long users wait for the command line: help, one completion, checking a workflow.

    python benchmarks/startup.py [--rounds N] [--short] [PYTHON]

PYTHON has hcrc installed; without it the checkout is installed, not editable, into a fresh venv
that borrows the libraries of the running python. Each row has a yardstick that runs in turn with
it: ``python -c pass`` for help and completion (wall), ``import yaml, jsonschema`` for checking
(CPU). Figures are the median and the least of the rounds, in ms; a ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import site
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COLUMNS = ("what", "clock", "median", "least", "yardstick", "median", "least", "ratio", "target")
LINES = {
    "completion: a command": "hcrc che",
    "completion: an option": "hcrc check demo --par",
    "completion: a parameter": "hcrc check demo --param k",
    "completion: a setting": 'hcrc check demo --setting torch.DataLoader "{',
}
LEFT_OUT = (".*", "build", "*.egg-info", "tests", "hcrc-out", "results", "shared", "__pycache__")
WORKFLOWS = ("demo", "svb", "fvt")


class Times(NamedTuple):
    """Seconds that a process took."""

    wall: float
    cpu: float


class Case(NamedTuple):
    """What is measured against what, by which clock, and how many times as long it may take."""

    name: str
    command: list[str]
    yardstick: list[str]
    clock: str
    target: float
    environment: Mapping[str, str]


def spend(command: list[str], environment: Mapping[str, str], folder: Path) -> Times:
    """Run a command to its end."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(os.devnull, "wb") as null:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" 8>/dev/null', "sh", *command],
            stdout=null,
            stderr=null,
            env=environment,
            cwd=folder,
        )
    code = process.wait()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        raise SystemExit(f"{' '.join(command)} exits with {code}")
    return Times(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def install(folder: Path) -> Path:
    """A python with this checkout installed, and the libraries of the running one."""
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    target = sysconfig.get_path("purelib", "venv", {"base": str(venv), "platbase": str(venv)})
    command = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install"]
    # A copy, since a build leaves its scratch behind, which a later build would ship.
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*LEFT_OUT))
    subprocess.run([*command, "--quiet", "--no-deps", source], check=True)
    libraries = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (Path(target) / "borrowed.pth").write_text("\n".join(libraries) + "\n", "utf-8")
    return venv / "bin" / "python"


def cases(python: Path, home: Path) -> list[Case]:
    """The rows of the table; workflows that are not there are left out."""
    hcrc = str(python.with_name("hcrc"))
    base = {"HOME": str(home), "PATH": os.environ["PATH"], "USER": "user"}
    nothing, libraries = ([str(python), "-c", code] for code in ("pass", "import yaml, jsonschema"))
    found = [Case("help", [hcrc, "--help"], nothing, "wall", 3, base)]
    for name, line in LINES.items():
        asked = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": "bash",
            "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'@><=;|&(:",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        found.append(Case(name, [hcrc], nothing, "wall", 2, base | asked))
    for name in WORKFLOWS:
        if (ROOT / "workflows" / f"{name}.yml").is_file():
            found.append(Case(f"check {name}", [hcrc, "check", name], libraries, "cpu", 1, base))
    return found


def measure(case: Case, rounds: int, folder: Path) -> tuple[str, ...]:
    """One row of the table; the first round of each is not counted: it fills caches."""
    own, other = [], []
    for number in range(rounds + 1):
        pair = spend(case.command, case.environment, folder), spend(case.yardstick, {}, folder)
        if number:
            own.append(getattr(pair[0], case.clock) * 1000)
            other.append(getattr(pair[1], case.clock) * 1000)
    middle, middle_other = statistics.median(own), statistics.median(other)
    yardstick = case.yardstick[-1]
    numbers = (middle, min(own), yardstick, middle_other, min(other))
    texts = [text if isinstance(text, str) else f"{text:.1f}" for text in numbers]
    return case.name, case.clock, *texts, f"{middle / middle_other:.2f}", f"≤ {case.target:g}"


def main() -> None:
    """Print the table; in short, one line a case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("python", nargs="?", type=Path, help="one with hcrc installed")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--short", action="store_true", help="names and ratios alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = options.python.absolute() if options.python else install(folder)
        rows = [measure(case, options.rounds, folder) for case in cases(python, folder)]
    if options.short:
        rows = [(row[0], *row[-2:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if options.short else [COLUMNS, *rows]:
        cells = [f"{text:{width}}" for text, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


if __name__ == "__main__":
    main()

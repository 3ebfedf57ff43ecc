"""Compiling cache → train[N] → evaluate[N] → merge → plot, against what else writes such jobs.

    python benchmarks/compile.py [--cells N] [--rounds N] [--htcondor2 PYTHON] [--snakemake PYTHON]
                                 [--bps PYTHON]
    python benchmarks/compile.py --short

Each command runs in a process of its own, ``--rounds`` times, those that are compared in turn:
CPU seconds (user and system) are the least of them, peak memory is the highest. The yardsticks:

- ``htcondor2.dags`` writes the same DAG and checks nothing: ``pip install htcondor``;
- ``snakemake -n`` of the same rules, at a tenth of the cells: ``pip install snakemake``;
- ``prepare`` of LSST BPS's HTCondor service, without its Butler stage, at a tenth of the cells:
  ``pip install lsst-ctrl-bps-htcondor "htcondor<25"``. Only ``prepare`` itself is counted.

Give each the python that has it (the two htcondor exclude each other); what cannot be imported is
left out. Each run starts in an empty folder: BPS makes a file for each job, which is most of what
its ``prepare`` takes. ``--short`` needs no other package and takes seconds; it fails if compiling
grows faster than its jobs, or takes much longer than ``json.dumps`` of the same jobs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PEERS = Path(__file__).with_name("peers")
WORKFLOW = """\
hcrc: 1
name: sweep
datasets:
  Data: {samples: [{sample: data, label: data, years: [A, B, C], files: ["data_{year}.root"]}]}
  Signal: {samples: [{sample: ZZ4b, label: ZZ, years: [A, B, C], files: ["ZZ4b_{year}.root"]}]}
classifiers:
  SvB: {classes: [data, ZZ], rocs: [{name: all, positive: [ZZ], negative: [data]}]}
tasks:
  cache: {task: cache, datasets: [Data, Signal]}
  train: {task: train, dataset: cache, classifier: SvB, for: {offset: 0-LAST}}
  evaluate: {task: evaluate, models: train, datasets: [Data, Signal]}
  merge: {task: merge, predictions: evaluate}
  plot: {task: plot, models: train}
"""
COLUMNS = ("what", "N", "jobs", "CPU s", "peak MiB")


class Spent(NamedTuple):
    """What a process took: CPU seconds, peak memory in MiB; and what it printed."""

    cpu: float
    peak: float
    output: str


def peer(python: str, script: str, *words: str) -> list[str]:
    """The command that runs a script of ``peers/`` with a python that has what it imports."""
    return [python, str(PEERS / script), *words]


class Bench:
    """Runs commands, ``rounds`` times each, every time in an empty folder below one."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.runs = 0
        # Compiled modules are kept, as they are where a program is installed.
        self.environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "pycache")}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def compile(self, cells: int) -> list[str]:
        """The command that compiles the sweep, all checks included; it prints the bundle."""
        path = self.folder / f"sweep{cells}.yml"
        path.write_text(WORKFLOW.replace("LAST", str(cells - 1)), "utf-8")
        command = [sys.executable, "-m", "hcrc.compiler", "compile", str(path)]
        return [*command, "-o", str(self.folder / "bundles" / "RUN")]

    def spend(self, *commands: list[str]) -> list[Spent]:
        """Run commands in turn, after a round to warm up.

        Of each, the least CPU seconds and the highest memory.
        """
        rounds = [[self._run(command) for command in commands] for _ in range(1 + self.rounds)][1:]
        return [
            min(found, key=lambda one: one.cpu)._replace(peak=max(one.peak for one in found))
            for found in zip(*rounds, strict=True)
        ]

    def _run(self, command: list[str]) -> Spent:
        self.runs += 1
        command = [word.replace("RUN", str(self.runs)) for word in command]
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as folder,
            tempfile.TemporaryFile("w+") as output,
            open(os.devnull, "w") as null,
        ):
            process = subprocess.Popen(
                command, cwd=folder, env=self.environment, stdout=output, stderr=null
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
            output.seek(0)
            peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
            return Spent(usage.ru_utime + usage.ru_stime, peak, output.read().strip())


def show(what: str, cells: int, spent: Spent) -> None:
    """Print a row of the table."""
    row = (what, f"{cells:,}", f"{2 * cells + 3:,}", f"{spent.cpu:.3f}", f"{spent.peak:.1f}")
    print("{:28}{:>9}{:>10}{:>9}{:>10}".format(*row), flush=True)


def has(python: str, module: str) -> bool:
    """Whether a python can import a module; says so if not."""
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    if found.returncode:
        print(f"{module} is left out: {python} cannot import it")
    return not found.returncode


def compare(bench: Bench, options: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """Measure all; what each figure is, the figure, and what it should be."""
    many, few = options.cells, options.cells // 10
    small, large = bench.spend(bench.compile(few), bench.compile(many))
    show("hcrc compile", few, small)
    show("hcrc compile", many, large)
    yield f"CPU({many:,}) / CPU({few:,})", large.cpu / small.cpu, "at most 11"
    yield "peak memory, MiB", large.peak, "at most 60"
    if has(options.htcondor2, "htcondor2.dags"):
        command = peer(options.htcondor2, "dags.py", str(many), "dags")
        large, dags = bench.spend(bench.compile(many), command)
        show("hcrc compile", many, large)
        show("htcondor2.dags", many, dags)
        yield "CPU / that of htcondor2.dags", large.cpu / dags.cpu, "at most 1.0"
        yield "memory / that of htcondor2.dags", large.peak / dags.peak, "at most 0.6"
    if has(options.snakemake, "snakemake"):
        words = ["-n", "-c", "1", "--snakefile", str(PEERS / "Snakefile")]
        snakemake = [options.snakemake, "-m", "snakemake", *words, "--config", f"cells={few}"]
        ours, dry, quiet = bench.spend(
            bench.compile(few), snakemake, [*snakemake, "--quiet", "rules", "progress"]
        )
        show("hcrc compile", few, ours)
        show("snakemake -n", few, dry)
        show("snakemake -n --quiet", few, quiet)
        yield "CPU of snakemake -n / ours", dry.cpu / ours.cpu, "at least 40"
        yield "CPU of it quiet / ours", quiet.cpu / ours.cpu, ""
    if has(options.bps, "lsst.ctrl.bps.htcondor"):
        command = peer(options.bps, "bps.py", str(few), "bps")
        ours, whole = bench.spend(bench.compile(few), command)
        prepare = whole._replace(cpu=float(whole.output.splitlines()[-1]))
        show("hcrc compile", few, ours)
        show("BPS, with its imports", few, whole)
        show("BPS, prepare alone", few, prepare)
        yield "CPU of BPS's prepare / ours", prepare.cpu / ours.cpu, "at least 15"


def check_short(bench: Bench) -> Iterator[tuple[str, float, str]]:
    """Measure small plans; after the figures, one that is far off ends the program."""
    small, large = bench.spend(bench.compile(2_000), bench.compile(20_000))
    (written,) = bench.spend(peer(sys.executable, "dumps.py", large.output))
    dumps = float(written.output)
    show("hcrc compile", 2_000, small)
    show("hcrc compile", 20_000, large)
    figures = [
        ("CPU, ten times the jobs", large.cpu / small.cpu, 15.0),
        ("CPU / that of json.dumps", large.cpu / dumps, 3.0),
    ]
    yield from ((what, value, f"at most {limit:.0f}") for what, value, limit in figures)
    if any(value > limit for _, value, limit in figures):
        raise SystemExit("compiling takes too long")


def main() -> None:
    """Print the table, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    for name in ("htcondor2", "snakemake", "bps"):
        parser.add_argument(f"--{name}", metavar="PYTHON", default=sys.executable)
    options = parser.parse_args()
    print("{:28}{:>9}{:>10}{:>9}{:>10}".format(*COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.rounds)
        for what, value, wanted in check_short(bench) if options.short else compare(bench, options):
            print(f"  {what:36}{value:>8.2f}   {wanted}", flush=True)


if __name__ == "__main__":
    main()

"""bin/hcrc from a fresh checkout: what it installs when, seen by a stub in place of python."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUB = """\
#!/usr/bin/env bash
echo "$@" >>"$STUB_LOG"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  *"pip install"*) exit "${STUB_PIP:-0}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "bin", folder / "bin")
    for name in ("setup.cfg", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "python").write_text(STUB)
    (folder / "python").chmod(0o755)
    return folder


def run(checkout, *arguments, **environment):
    """The process, and what python was called with."""
    log = checkout / "log"
    log.write_text("")
    done = subprocess.run(
        [checkout / "bin" / "hcrc", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HCRC_PYTHON": str(checkout / "python"),
            "STUB_LOG": str(log),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in log.read_text().splitlines() if not line.startswith("-c import sys")]
    return done, [line.replace(str(checkout), "ROOT") for line in lines]


def installed(calls):
    return [call.partition(" -e ")[2] for call in calls if "pip install" in call]


CONSTRAINTS = "-c ROOT/.venv/.hcrc-constraints.txt"


def test_the_compiler_comes_first_and_the_runtime_when_something_runs(checkout):
    done, calls = run(checkout, "check", "x.yml")
    assert installed(calls) == [f"ROOT {CONSTRAINTS}"]
    assert calls[-1] == "-m hcrc.compiler check x.yml"
    assert done.stderr == f"hcrc: installing the compiler into {checkout}/.venv (once)\n"
    done, calls = run(checkout, "expand", "x.yml")
    assert calls == ["-m hcrc.compiler expand x.yml"]
    assert done.stderr == ""
    done, calls = run(checkout, "run", "--help")
    assert installed(calls) == []
    done, calls = run(checkout, "run", "x.yml")
    assert installed(calls) == [f"ROOT[runtime] {CONSTRAINTS}"]
    assert "torch" in done.stderr
    assert run(checkout, "run", "x.yml")[1] == ["-m hcrc.compiler run x.yml"]


@pytest.mark.parametrize("command", ["run", "clean", "submit", "resume"])
def test_jobs_find_the_runtime_in_the_python_that_hands_them_over(checkout, command):
    assert installed(run(checkout, command, "x.yml")[1])[-1] == f"ROOT[runtime] {CONSTRAINTS}"


def test_a_change_of_the_requirements_installs_again(checkout):
    run(checkout, "run", "x.yml")
    with (checkout / "constraints.txt").open("a") as file:
        file.write("more==1\n")
    assert installed(run(checkout, "run", "x.yml")[1]) != []


def test_another_torch(checkout):
    calls = run(checkout, "run", "x.yml", HCRC_TORCH="torch==2.9.1")[1]
    assert installed(calls)[-1] == f"ROOT[runtime] {CONSTRAINTS} torch==2.9.1"
    pins = (checkout / ".venv" / ".hcrc-constraints.txt").read_text()
    assert "torch" not in pins
    assert "uproot==" in pins


def test_the_python_that_is_named_is_the_one_that_is_used(checkout):
    done, _ = run(checkout, "check", "x.yml", HCRC_PYTHON="/no python")
    assert done.returncode == 2
    message = "hcrc: error: needs python >= 3.11, and HCRC_PYTHON=/no python is none\n"
    assert done.stderr.endswith(message)
    assert not (checkout / ".venv").exists()


def test_torch_is_pinned():
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
    assert "==" not in (ROOT / "setup.cfg").read_text()


def test_a_failed_install_is_said_and_tried_again(checkout):
    done, calls = run(checkout, "check", "x.yml", STUB_PIP="1")
    assert done.returncode == 2
    assert "the install failed" in done.stderr
    assert not any("hcrc.compiler" in call for call in calls)
    done, calls = run(checkout, "check", "x.yml")
    assert done.returncode == 0
    assert calls[-1] == "-m hcrc.compiler check x.yml"


def test_it_works_through_a_link(checkout, tmp_path):
    link = tmp_path / "hcrc"
    link.symlink_to(checkout / "bin" / "hcrc")
    log = checkout / "log"
    environment = {"PATH": os.environ["PATH"], "HCRC_PYTHON": str(checkout / "python")}
    subprocess.run([link, "check"], env={**environment, "STUB_LOG": str(log)}, check=True)
    assert (checkout / ".venv").is_dir()


def test_a_tab_installs_nothing_and_is_answered_at_once(checkout):
    done, calls = run(checkout, _ARGCOMPLETE="1")
    assert (done.returncode, calls) == (1, [])
    run(checkout, "check")
    (checkout / "setup.cfg").write_text("other\n")
    done, calls = run(checkout, _ARGCOMPLETE="1")
    assert (done.returncode, calls) == (0, ["-m hcrc.compiler"])

"""A bundle runs by itself: bash, python and the runtime's libraries, without hcrc installed."""

import json
import os
import subprocess
import sys
import sysconfig
import venv

import pytest
from chain import Chain

pytestmark = pytest.mark.slow


def bare_environment():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A python that has the libraries of this one, but no hcrc."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    library = sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder})
    with open(f"{library}/libraries.pth", "w") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    found = folder / "bin" / "python"
    code = (
        "import importlib.util, torch, sys; sys.exit(importlib.util.find_spec('hcrc') is not None)"
    )
    subprocess.run([found, "-c", code], check=True, env=bare_environment())
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    chain = Chain.make(tmp_path_factory.mktemp("some folder's $HOME"))
    command = [sys.executable, "-m", "hcrc.compiler", "compile", "chain.yml"]
    done = subprocess.run(command, cwd=chain.folder, check=True, capture_output=True, text=True)
    return chain, chain.folder / done.stdout.strip()


def run(bundle, python, *arguments):
    environment = {**bare_environment(), "HCRC_PYTHON": str(python), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [bundle / "run.sh", *arguments],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_run_sh_stops_on_failure_and_goes_on(bundle, python):
    chain, folder = bundle
    friend = chain.folder / "data" / "ZZ4b_UL16_preVFP" / "HCR_input.root"
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    friend.rename(friend.with_suffix(".away"))
    failed = run(folder, python, "-j", "2")
    assert failed.returncode == 1
    assert "bad-data (65)" in failed.stderr
    assert "HCR_input.root" in failed.stderr
    assert not list((chain.folder / "chain").rglob("result.json"))
    friend.with_suffix(".away").rename(friend)
    done = run(folder, python, "-j", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert chain.result("merge")["data"]["auc"]["signals"] > 0.6
    assert run(folder, python).stdout.startswith("nothing to do: all 5 cells are up to date")
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert json.loads((folder / "plan.json").read_text())["jobs"] == 5

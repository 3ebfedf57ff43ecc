"""What `pip install .` installs: a wheel with its data files that works far from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("bin", "compiler", "runtime", "schemas", "templates", "workflows")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob("hcrc-*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def run(site, *arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f)];"
        "import runpy; sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_wheel_holds_every_data_file(site):
    patterns = ["compiler/*.yml", "schemas/*.json", "templates/**/*.j2"]
    patterns += ["templates/**/*.yml"]
    patterns += ["workflows/**/*.yml", "workflows/**/*.root"]
    expected = {path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(pattern)}
    expected |= {path.relative_to(ROOT) for path in (ROOT / "workflows").rglob("*.json")}
    found = {path.relative_to(site / "hcrc") for path in (site / "hcrc").rglob("*")}
    assert expected
    assert expected <= found


@pytest.mark.slow
def test_the_wheel_compiles_the_demo(site, tmp_path):
    demo = site / "hcrc" / "workflows" / "demo.yml"
    done = run(site, "hcrc.compiler", "compile", str(demo), cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0
    bundle = tmp_path / done.stdout.strip()
    assert str(site) in (bundle / "jobs.jsonl").read_text()


@pytest.mark.slow
def test_the_wheel_knows_its_sites(site, tmp_path):
    done = run(site, "hcrc.compiler", "check", "demo", "--site", "lxplus", cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
def test_the_wheel_has_the_runtime(site, tmp_path):
    done = run(site, "hcrc.runtime", "job", "absent.jsonl", "0", cwd=tmp_path)
    assert done.returncode == 64
    assert "absent" in done.stderr
    assert done.stderr.count("\n") == 1

"""The chain of tasks with all its inputs and outputs at a real XRootD server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import uproot
import yaml
from hcrc.runtime import storage
from hcrc.runtime.errors import StorageError
from hcrc.runtime.storage import find_place
from uproot.source.xrootd import XRootDSource

from .xrootd import XRootD, install

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "workflows" / "demo"

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that has the files of the demo."""
    install()
    found = XRootD(tmp_path_factory.mktemp("xrootd"))
    shutil.copytree(DEMO, found.store / "demo")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def workflow(server, tmp_path):
    """The demo with its files, and its results, at the server."""
    definitions = yaml.safe_load((DEMO / "definitions.yml").read_text())
    for dataset in definitions["datasets"].values():
        dataset["base"] = f"{server.url}/demo"
    folder = tmp_path / "demo"
    shutil.copytree(DEMO / "metadata", folder / "metadata")
    (folder / "definitions.yml").write_text(yaml.safe_dump(definitions))
    text = (ROOT / "workflows" / "demo.yml").read_text()
    (tmp_path / "demo.yml").write_text(text)
    return tmp_path / "demo.yml"


def hcrc(*words, cwd, **environment):
    command = [sys.executable, "-m", "hcrc.compiler", *map(str, words)]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=500)


def run_demo(workflow, store, *words):
    options = ("--param", f"store={store}", "--param", "epochs=3")
    return hcrc("run", workflow, *options, *words, cwd=workflow.parent)


def results(folder):
    return {
        str(path.parent.relative_to(folder)): json.loads(path.read_text())
        for path in folder.rglob("result.json")
    }


def losses(result):
    return [model["history"] for model in result["data"]["models"]]


def test_all_that_is_read_and_written_lies_at_the_server(server, workflow, tmp_path):
    done = run_demo(workflow, f"{server.url}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    here = run_demo(workflow, tmp_path / "out")
    assert here.returncode == 0, here.stdout + here.stderr
    there = results(server.store / "out")
    local = results(tmp_path / "out")
    assert sorted(there) == sorted(local) == [
        "dataset", "evaluate/offset=0", "friend", "plots", "train/offset=0",
    ]  # fmt: skip
    assert losses(there["train/offset=0"]) == losses(local["train/offset=0"])
    assert there["friend"]["data"]["auc"] == local["friend"]["data"]["auc"]
    assert all(row["path"].startswith("root://") for row in there["dataset"]["inputs"])
    left = [path.name for path in server.store.rglob("*") if path.name.endswith((".tmp", ".pt-"))]
    assert left == []
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in (server.store / "out").rglob("*"))
    again = run_demo(workflow, f"{server.url}/out")
    assert again.stdout.startswith("nothing to do: all 5 cells are up to date")
    check_merged(there["friend"]["data"]["friend"])


def check_merged(friend):
    """Read the merged friend tree by its own addresses, beside its bases."""
    entries = 0
    for base, ranges in friend["data"]:
        with uproot.open({base["path"]: base["name"]}, handler=XRootDSource) as tree:
            entries += tree.num_entries
            assert str(tree.file.uuid) == base["uuid"]
        for row in ranges:
            chunk = row["chunk"]
            assert chunk["path"].startswith("root://")
            with uproot.open({chunk["path"]: chunk["name"]}, handler=XRootDSource) as tree:
                assert tree.num_entries == row["stop"] - row["start"]
                assert set(friend["branches"]) == set(tree.keys())
    assert entries == 12626


def test_a_result_is_read_by_its_address_and_all_is_removed(server, workflow, tmp_path):
    store = f"{server.url}/parts"
    done = run_demo(workflow, store, "--only", "cache")
    assert done.returncode == 0, done.stderr
    text = f"""\
hcrc: 1
name: second
include: [demo/definitions.yml]
tasks:
  train:
    task: train
    dataset: {store}/dataset/result.json
    classifier: SvB
    kfolds: 2
    training: {{epochs: 1, batch: 256}}
    output: {store}/second
"""
    second = workflow.with_name("second.yml")
    second.write_text(text)
    done = hcrc("run", second, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = results(server.store / "parts")["second"]
    assert result["upstream"][0]["result"] == f"{store}/dataset/result.json"
    for name in ("demo", "second"):
        bundle = next((tmp_path / "hcrc-out" / name).iterdir())
        cleaned = hcrc("clean", bundle, cwd=tmp_path)
        assert cleaned.returncode == 0, cleaned.stderr
    assert [path for path in (server.store / "parts").rglob("*") if path.is_file()] == []


def test_a_file_that_is_not_there_is_wrong_data(server, workflow):
    definitions = workflow.parent / "demo" / "definitions.yml"
    text = definitions.read_text()
    definitions.write_text(text.replace("/demo\n", "/nowhere\n"))
    done = run_demo(workflow, f"{server.url}/missing")
    assert done.returncode == 1
    assert "exit code 65" in done.stdout or "65" in done.stderr
    assert "no such file" in done.stderr
    assert f"{server.url}/nowhere" in done.stderr
    assert results(server.store / "missing") == {}


def test_a_server_that_is_gone_is_tried_again_and_then_given_up(workflow, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    absent = XRootD(folder)
    done = run_demo(workflow, f"{absent.url}/out")
    assert done.returncode == 1
    assert f"hcrc: error: {absent.url}/out/dataset/result.json: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_dies_and_comes_back_in_the_middle_of_a_write(tmp_path):
    install()
    server = XRootD(tmp_path / "server")
    server.start()
    local = tmp_path / "big"
    content = os.urandom(1 << 20) * 200
    local.write_bytes(content)
    url = find_place(f"{server.url}/big")
    failed = []

    def store():
        try:
            url.store(local)
        except StorageError as error:
            failed.append(error)

    thread = threading.Thread(target=store)
    thread.start()
    while not any(path.stat().st_size for path in server.store.iterdir()):
        time.sleep(0.001)
    server.kill()
    assert not (server.store / "big").exists()
    server.start()
    thread.join()
    assert failed == []
    assert (server.store / "big").read_bytes() == content
    server.kill()


def test_a_server_that_dies_for_good_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    install()
    monkeypatch.setattr(storage, "DELAYS_S", (0.1,))
    server = XRootD(tmp_path / "server")
    server.start()
    local = tmp_path / "big"
    local.write_bytes(bytes(200 << 20))
    url = find_place(f"{server.url}/big")
    killer = threading.Timer(0.05, server.kill)
    killer.start()
    with pytest.raises(StorageError, match=r"^root://127\.0\.0\.1:"):
        url.store(local)
    killer.join()
    assert not (server.store / "big").exists()

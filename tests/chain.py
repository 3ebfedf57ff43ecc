"""A small SvB chain on the demo's data, for tests: copy, compile, run, look at the outputs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import uproot

ROOT = Path(__file__).parents[1]
DATA = ROOT / "workflows" / "demo"
FILES = ("TTToHadronic_UL16_preVFP", "GluGluToHHTo4B_cHHH1_UL16_preVFP", "ZZ4b_UL16_preVFP")
WORKFLOW = """\
hcrc: 1
name: chain
parameters:
  epochs: {type: integer, default: 2}
  offset: {type: range, default: "0"}
  std: {type: boolean, default: false}
  memory: {type: string, default: 1 GB}
datasets:
  Background:
    base: data
    selection: passHLT & fourTag
    friends: [friend.json@@HCR_input]
    norm: {sum: 2}
    samples:
      - {sample: TTToHadronic, label: ttbar, years: [UL16_preVFP],
         files: "TTToHadronic_{year}/picoAOD.root",
         friends: [friend.json@@HCR_input, friend.json@@JCM_weight, friend.json@@FvT_weight]}
  Signal:
    base: data
    selection: passHLT & fourTag
    friends: [friend.json@@HCR_input]
    norm: {sum: 1, by: label}
    samples:
      - {sample: ZZ4b, label: ZZ, years: [UL16_preVFP], files: "ZZ4b_{year}/picoAOD.root"}
      - {sample: cHHH1, label: ggF, years: [UL16_preVFP],
         files: "GluGluToHHTo4B_cHHH1_{year}/picoAOD.root"}
classifiers:
  SvB:
    classes: [ttbar, ZZ, ggF]
    architecture: {attention: false}
    rocs: [{name: signals, positive: [ZZ, ggF], negative: [ttbar]}]
    outputs: {p_sig: [ZZ, ggF]}
tasks:
  cache: {task: cache, datasets: [Background, Signal], chunks: 2}
  train: {task: train, dataset: cache, classifier: SvB, for: {offset: "{offset}"},
          training: {epochs: "{epochs}", batch: 64, batch_milestones: []},
          ghost: {batches: 2}, resources: {memory: "{memory}"}}
  plot: {task: plot, models: train}
  evaluate: {task: evaluate, models: train, datasets: [Background, Signal]}
  merge: {task: merge, predictions: evaluate, std: "{std}"}
"""


@dataclass
class Chain:
    """A folder with the workflow and a copy of its data; commands run in it."""

    folder: Path

    @classmethod
    def make(cls, folder):
        for name in FILES:
            shutil.copytree(DATA / name, folder / "data" / name)
        shutil.copy(DATA / "friend.json", folder / "data")
        (folder / "chain.yml").write_text(WORKFLOW)
        return cls(folder)

    def start(self, *arguments, **options):
        command = [sys.executable, "-m", "hcrc.compiler", "run", "chain.yml", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            **options,
        )

    def run(self, *arguments):
        """The finished process of a run, its output as text."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = process.communicate()
        assert process.returncode == 0, out
        return out

    def planned(self, *arguments):
        """The cells that a run would run."""
        lines = self.run("--dry-run", *arguments).splitlines()
        return {line.split()[2].rstrip(":") for line in lines if line.startswith("would run")}

    def result(self, task, cell=""):
        return json.loads((self.folder / "chain" / task / cell / "result.json").read_text())

    def path(self, task, name, cell=""):
        return self.folder / "chain" / task / cell / self.result(task, cell)["files"][name]["path"]

    def sign(self, task):
        """Let the result name its files as they are now."""
        path = self.folder / "chain" / task / "result.json"
        result = json.loads(path.read_text())
        for row in result["files"].values():
            data = (path.parent / row["path"]).read_bytes()
            row |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        path.write_text(json.dumps(result))

    def merged(self):
        """The merged friend tree: branches by path of the base file."""
        friend = self.result("merge")["data"]["friend"]
        found = {}
        for base, chunks in friend["data"]:
            assert len(chunks) == 1
            with uproot.open(chunks[0]["chunk"]["path"]) as file:
                found[base["path"]] = file["Events"].arrays(library="np")
        return found

    def numbers(self):
        """Everything that has to come out the same from the same input and seed."""
        history = [model["history"] for model in self.result("train", "offset=0")["data"]["models"]]
        arrays = {
            path: {name: values.tolist() for name, values in branches.items()}
            for path, branches in self.merged().items()
        }
        return {"history": history, "auc": self.result("merge")["data"]["auc"], "friend": arrays}

    def leftovers(self):
        """Attempts that no result names, and temporary files."""
        results = self.folder / "chain"
        kept = {
            path.parent / json.loads(path.read_text())["attempt"]
            for path in results.rglob("result.json")
        }
        tries = {path for path in results.rglob("try-*") if path.is_dir()}
        return (tries - kept) | set(results.rglob("*.tmp"))

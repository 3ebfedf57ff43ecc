"""The sweep's DAG, written by ``htcondor2.dags``: ``dags.py CELLS FOLDER``."""

import sys

import htcondor2
from htcondor2 import dags


def describe(task):
    """The submit description of a task's jobs."""
    return htcondor2.Submit(
        {
            "executable": "job.sh",
            "arguments": f"{task} $(offset)",
            "request_cpus": "1",
            "request_memory": "2000",
            "log": "dag.log",
            "output": f"{task}.$(offset).out",
            "error": f"{task}.$(offset).err",
        }
    )


def main(cells, folder):
    """Make the DAG, then write it."""
    dag = dags.DAG()
    offsets = [{"offset": str(offset)} for offset in range(cells)]
    cache = dag.layer(name="cache", submit_description=describe("cache"))
    train = cache.child_layer(name="train", submit_description=describe("train"), vars=offsets)
    evaluate = train.child_layer(
        name="evaluate",
        submit_description=describe("evaluate"),
        vars=offsets,
        edge=dags.OneToOne(),
    )
    evaluate.child_layer(name="merge", submit_description=describe("merge"))
    train.child_layer(name="plot", submit_description=describe("plot"))
    dags.write_dag(dag, folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

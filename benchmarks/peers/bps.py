"""``prepare`` of LSST BPS's HTCondor service for the sweep's jobs: ``bps.py CELLS FOLDER``.

The jobs are as BPS's own defaults make them, with the result of each as a file that others read.
Prints the CPU seconds of ``prepare`` alone: making the generic workflow is not counted there.
"""

import sys
import time

from lsst.ctrl.bps import (
    BPS_DEFAULTS,
    BpsConfig,
    GenericWorkflow,
    GenericWorkflowExec,
    GenericWorkflowFile,
    GenericWorkflowJob,
)
from lsst.ctrl.bps.htcondor import HTCondorService

CONFIG = {"operator": "user", "computeSite": "local", "site": {"local": {}}, "cluster": {}}


def add_job(workflow, task, offset, parents):
    """Add a job that reads the results of its parents; returns its name."""
    name = task if offset is None else f"{task}_{offset}"
    result = GenericWorkflowFile(f"{name}.json", f"results/{name}/result.json", True, False, True)
    job = GenericWorkflowJob(
        name,
        label=task,
        executable=GenericWorkflowExec("job.sh", "${HOME}/job.sh", False),
        arguments=f"{name} <FILE:{result.name}>",
        request_memory=2000,
        request_cpus=1,
        memory_multiplier=2,
        number_of_retries=5,
        retry_unless_exit=[1, 2],
        compute_site="local",
        environment={"HCRC_TASK": task},
        tags={} if offset is None else {"offset": offset},
    )
    workflow.add_job(job, parents)
    workflow.add_job_outputs(name, [result])
    workflow.add_job_inputs(name, [workflow.get_file(f"{parent}.json") for parent in parents])
    return name


def make_workflow(cells):
    """The sweep as a generic workflow."""
    workflow = GenericWorkflow("sweep")
    cache = add_job(workflow, "cache", None, [])
    trained = [add_job(workflow, "train", offset, [cache]) for offset in range(cells)]
    pairs = enumerate(trained)
    scored = [add_job(workflow, "evaluate", offset, [name]) for offset, name in pairs]
    add_job(workflow, "merge", None, scored)
    add_job(workflow, "plot", None, trained)
    return workflow


def main(cells, folder):
    """Make the workflow, then prepare it."""
    workflow = make_workflow(cells)
    service = "lsst.ctrl.bps.htcondor.HTCondorService"
    config = BpsConfig(CONFIG, defaults=BPS_DEFAULTS, wms_service_class_fqn=service)
    start = time.process_time()
    HTCondorService(config).prepare(config, workflow, folder)
    print(time.process_time() - start)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

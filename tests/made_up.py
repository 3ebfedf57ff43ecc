"""Results that are made up: whole and valid, with nothing computed."""

from hcrc.runtime.bundle import open_bundle
from hcrc.runtime.result import open_attempt
from hcrc.runtime.why import load_planned


def make_results(bundle, *tasks):
    """Results of all cells of some tasks, of all without any; each reads d.root and upstream."""
    opened = open_bundle(bundle)
    for task in opened.tasks:
        for number in range(task.first, task.end) if not tasks or task.name in tasks else ():
            for cell in load_planned(opened, number).cells:
                with open_attempt(cell) as attempt:
                    attempt.read("d.root")
                    for reference in cell.references():
                        attempt.read_result(reference.result)
                    attempt.path("out").write_text(cell.id)
                    attempt.commit({"out": attempt.path("out")}, {})

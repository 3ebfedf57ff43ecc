"""``json.dumps`` of each job of a bundle: ``dumps.py BUNDLE``; prints its CPU seconds."""

import json
import sys
import time
from pathlib import Path


def main(bundle):
    """Load each job, and time only how long it takes to write."""
    spent = 0.0
    with (Path(bundle) / "jobs.jsonl").open("rb") as lines:
        for line in lines:
            job = json.loads(line)
            start = time.process_time()
            json.dumps(job, sort_keys=True)
            spent += time.process_time() - start
    print(spent)


if __name__ == "__main__":
    main(sys.argv[1])

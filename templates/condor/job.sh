#!/usr/bin/env bash
# Runs one job of the bundle: job.sh N, in the bundle's run/condor.
# Needs python >= 3.11 with torch, uproot, awkward and matplotlib: HCRC_PYTHON names another one.
set -euo pipefail
bundle=$(cd ../.. && pwd)
mkdir -p "$bundle/run/events"
exec "${HCRC_PYTHON:-python3}" "$bundle/hcrc.pyz" job "$bundle/jobs.jsonl" "$1" \
  --events "$bundle/run/events/$1.jsonl"

#!/usr/bin/env bash
# Runs the jobs of this bundle on this machine, as many at a time as there are cores; stops when
# one fails, and goes on where it stopped when it is run again.
# Needs python >= 3.11 with torch, uproot, awkward and matplotlib: HCRC_PYTHON names another one.
#
#   ./run.sh [-j N] [--only TASK] [--from TASK] [--force] [--dry-run]
set -euo pipefail
bundle=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
exec "${HCRC_PYTHON:-python3}" "$bundle/hcrc.pyz" run "$bundle" "$@"

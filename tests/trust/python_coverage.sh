#!/bin/sh
# Which lines of the Python package the tests run, also in processes that they start; fails below 98 %. Branches are told.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
COVERAGE_FILE=$folder/data
COVERAGE_RCFILE=$PWD/pyproject.toml
export COVERAGE_FILE COVERAGE_RCFILE
"$python" -m coverage run -m pytest -q -p no:cacheprovider
"$python" -m coverage combine -q
"$python" -m coverage report
"$python" -m coverage json -q -o "$folder/json"
"$python" - "$folder/json" <<'END'
import json, sys
with open(sys.argv[1]) as file:
    totals = json.load(file)["totals"]
lines = 100 * totals["covered_lines"] / totals["num_statements"]
branches = 100 * totals["covered_branches"] / totals["num_branches"]
print(f"{lines:.1f} % of the lines, {branches:.1f} % of the branches")
sys.exit(lines < 98)
END

#!/bin/sh
# Which lines of the Python package the tests run, also in processes that they start; fails below 98 %. Branches are told.
#     python_coverage.sh [FOLDER]
# In the folder stay, for mutate_python.py, the data, which say which test ran a line, and the seconds that each test took.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
folder=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$folder"' EXIT
COVERAGE_FILE=$folder/data
COVERAGE_RCFILE=$PWD/pyproject.toml
COVERAGE_CORE=ctrace # which knows contexts
TESTS_LEARNED=$folder/seconds.json
PYTHONPATH=$PWD/tests/trust${PYTHONPATH:+:$PYTHONPATH}
export COVERAGE_FILE COVERAGE_RCFILE COVERAGE_CORE TESTS_LEARNED PYTHONPATH
"$python" -m coverage run -m pytest -q -p no:cacheprovider -p tests_of_lines
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

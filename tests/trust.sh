#!/bin/sh
# What the project's promises are tried by, beyond its tests:   tests/trust.sh [short|long]
# Short: minutes, for every change. Long: hours, for a release. docs/trust.md says what each part is for.
set -eu
cd "$(dirname "$0")/.."
form=${1:-short}
PYTHON=${PYTHON:-.venv/bin/python}
export PYTHON
case $form in
short) fuzz=short; text=8; mutants=6; soak=0.1; MUTATE_SECONDS=${MUTATE_SECONDS:-40} ;;
long) fuzz=3600; text=600; mutants=300; soak=30; MUTATE_SECONDS=${MUTATE_SECONDS:-inf} ;;
*)
    echo "trust.sh: expected short or long" >&2
    exit 2
    ;;
esac
export MUTATE_SECONDS

echo "-- faults"
"$PYTHON" tests/trust/faults.py "$form"
echo "-- random text"
"$PYTHON" tests/trust/fuzz_python.py "$text"
echo "-- mixed work"
"$PYTHON" tests/trust/soak.py "$soak"
if [ "$form" = long ]; then
    echo "-- coverage"
    "$PYTHON" tests/trust/coverage.py
fi
echo "-- mutants"
"$PYTHON" tests/trust/mutate.py "$mutants"
if command -v clang >/dev/null 2>&1; then
    echo "-- fuzzing"
    sh tests/trust/fuzz.sh "$fuzz"
    echo "-- sanitizers"
    sh tests/trust/sanitizers.sh "$form"
else
    echo "-- fuzzing and sanitizers: skipped, they need clang"
fi

#!/bin/sh
# What the project's promises are tried by, beyond its tests:   tests/trust.sh [short|long]
# Short: minutes, for every change, the same draws each time. Long: hours, for a release, others each time.
# docs/trust.md says what each part is for.
# shellcheck disable=SC2086
set -eu
cd "$(dirname "$0")/.."
form=${1:-short}
PYTHON=${PYTHON:-.venv/bin/python}
export PYTHON
case $form in
short) fuzz=short; text="8 1"; mutants="6 1"; python_mutants="5 1"; soak="0.1 1"; examples=200; seed=same; MUTATE_SECONDS=${MUTATE_SECONDS:-40} ;;
long) fuzz=3600; text=600; mutants=300; python_mutants=300; soak=30; examples=10000; seed=random; MUTATE_SECONDS=${MUTATE_SECONDS:-inf} ;;
*)
    echo "trust.sh: expected short or long" >&2
    exit 2
    ;;
esac
export MUTATE_SECONDS

echo "-- properties, of more examples than the tests draw"
PROPERTY_EXAMPLES=$examples PROPERTY_SEED=$seed "$PYTHON" -m pytest -q -p no:cacheprovider tests/test_properties.py
echo "-- coverage of the Python package"
learned=$(mktemp -d)
trap 'rm -rf "$learned"' EXIT
sh tests/trust/python_coverage.sh "$learned"
echo "-- mutants of the Python package"
PYTHON_COVERAGE=$learned "$PYTHON" tests/trust/mutate_python.py $python_mutants
if [ "$(uname)" = Linux ]; then
    echo "-- hardening"
    sh tests/trust/hardened.sh "$("$PYTHON" -c 'from cbackprop import _core; print(_core.__file__)')"
fi
echo "-- faults"
"$PYTHON" tests/trust/faults.py "$form"
echo "-- random text"
"$PYTHON" tests/trust/fuzz_python.py $text
echo "-- mixed work"
"$PYTHON" tests/trust/soak.py $soak
echo "-- coverage of the core"
"$PYTHON" tests/trust/core_coverage.py
echo "-- mutants of the core"
"$PYTHON" tests/trust/mutate.py $mutants
if command -v clang >/dev/null 2>&1; then
    echo "-- fuzzing"
    sh tests/trust/fuzz.sh "$fuzz"
    echo "-- sanitizers"
    sh tests/trust/sanitizers.sh "$form"
else
    echo "-- fuzzing and sanitizers: skipped, they need clang"
fi

#!/bin/sh
# The package and the C core under sanitizers:   tests/trust/sanitizers.sh [short|long]
# ThreadSanitizer: threads.c. MemorySanitizer (clang): the C tests. AddressSanitizer with UndefinedBehaviorSanitizer and
# LeakSanitizer: the Python tests, in short form those files that reach the extension in most ways. (The C tests
# under these: tests/c/run.sh.) $PYTHON: an interpreter with the tests' requirements, .venv/bin/python.
set -eu
cd "$(dirname "$0")/../.."
form=${1:-short}
python=${PYTHON:-.venv/bin/python}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
flags='-std=c99 -g -O1 -ffp-contract=off -fno-math-errno -fno-trapping-math -Icsrc'

echo "ThreadSanitizer"
# shellcheck disable=SC2086
clang $flags -pthread -fsanitize=thread csrc/*.c tests/trust/threads.c -lm -o "$build/threads"
for _ in 1 2 3; do
    "$build/threads"
done

if [ "$form" = long ]; then
    echo "MemorySanitizer"
    mkdir "$build/msan"
    for source in csrc/*.c; do
        # shellcheck disable=SC2086
        clang $flags -fsanitize=memory -c "$source" -o "$build/msan/$(basename "$source" .c).o"
    done
    for test in tests/c/test_*.c; do
        name=$(basename "$test" .c)
        case $name in test_header | test_threads) continue ;; esac # nothing runs; threads are ThreadSanitizer's
        # shellcheck disable=SC2086
        clang $flags -fsanitize=memory "$test" "$build"/msan/*.o -lm -o "$build/$name"
        "$build/$name" || { echo "$name FAILED"; exit 1; }
    done
fi

echo "AddressSanitizer, UndefinedBehaviorSanitizer, LeakSanitizer"
sh tests/trust/sanitized_build.sh "$build/package" "$python"
tests='tests/test_chain.py tests/test_bad_input.py tests/test_edges.py'
test "$form" = short || tests=tests
preload="$(cc -print-file-name=libasan.so) $(cc -print-file-name=libubsan.so) $(cc -print-file-name=libstdc++.so.6)"
# Python's own allocator would hide what is read after it was freed. Dask's workers are processes that the preloading slows
# down too much; what they call is tested without them.
# shellcheck disable=SC2086
env LD_PRELOAD="$preload" PYTHONMALLOC=malloc PYTHONPATH="$build/package" \
    ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    "$python" -m pytest -q -s -p no:cacheprovider $tests --ignore tests/test_dask.py -k "not memory_for_each and not ctrl_c"

# CPython and NumPy leave at their end what they never free (interned strings, types, ufuncs). So a leak counts if its stack
# passes through the extension or the core; the whole stack takes the slow unwinder, and so fewer calls.
echo "LeakSanitizer"
env LD_PRELOAD="$preload" PYTHONMALLOC=malloc PYTHONPATH="$build/package" \
    ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=40:exitcode=0:log_path=$build/report" \
    LSAN_OPTIONS=print_suppressions=0 "$python" tests/trust/soak.py 0
if cat "$build"/report.* 2>/dev/null | awk 'BEGIN { RS = "" } /leak of/ && /cbackprop\/_core|csrc\//' | grep .; then
    exit 1
fi
echo "no findings"

#!/bin/sh
# Fuzzes the C core with libFuzzer:   tests/trust/fuzz.sh short|SECONDS
# The short form runs the same inputs each time; the long one draws others, prints its seed and, if $FUZZ_DIR is set, keeps
# its corpus and what broke a promise there. What did so in the past is in tests/trust/corpus, among others.
set -eu
cd "$(dirname "$0")/../.."
form=${1:-short}
if [ -z "${FUZZ_DIR:-}" ]; then
    FUZZ_DIR=$(mktemp -d)
    trap 'rm -rf "$FUZZ_DIR"' EXIT
fi
mkdir -p "$FUZZ_DIR/corpus" "$FUZZ_DIR/objects"
flags='-std=c99 -O2 -g -ffp-contract=off -fno-math-errno -fno-trapping-math -Icsrc -Wall -Wextra -Wmissing-prototypes
-Werror -fsanitize=fuzzer,address,undefined,float-cast-overflow -fno-sanitize-recover=all
-fno-sanitize-coverage=trace-cmp'
for source in csrc/*.c tests/trust/fuzz.c; do
    # shellcheck disable=SC2086
    clang $flags -c "$source" -o "$FUZZ_DIR/objects/$(basename "$source" .c).o" &
done
wait
# shellcheck disable=SC2086
clang $flags "$FUZZ_DIR"/objects/*.o -lm -o "$FUZZ_DIR/fuzz"
case $form in
short) limits='-seed=1 -runs=3000 -max_total_time=30' ;;
*) limits="-seed=$(date +%s) -max_total_time=$form" ;;
esac
# What is traced, kept and symbolized for nothing takes most of the time of such short runs: comparisons of numbers, the
# rarity of features, stacks of allocations.
export ASAN_OPTIONS=malloc_context_size=0:quarantine_size_mb=4:detect_leaks=0
# shellcheck disable=SC2086
"$FUZZ_DIR/fuzz" $limits -max_len=512 -entropic=0 -print_funcs=0 -timeout=60 -print_final_stats=1 -artifact_prefix="$FUZZ_DIR/" \
    "$FUZZ_DIR/corpus" tests/trust/corpus >"$FUZZ_DIR/log" 2>&1 || {
    grep -E 'Seed|broken promise|runtime error' "$FUZZ_DIR/log"
    tail -n 40 "$FUZZ_DIR/log"
    exit 1
}
grep -E 'Seed|number_of_executed_units|peak_rss' "$FUZZ_DIR/log"

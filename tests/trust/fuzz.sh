#!/bin/sh
# Fuzzes the C core with libFuzzer:   tests/trust/fuzz.sh [SECONDS] [SANITIZERS]
# What was found worth keeping before is in tests/trust/corpus. $FUZZ_DIR keeps the program and a growing corpus.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-20}
sanitizers=${2-address,undefined,float-cast-overflow}
if [ -z "${FUZZ_DIR:-}" ]; then
    FUZZ_DIR=$(mktemp -d)
    trap 'rm -rf "$FUZZ_DIR"' EXIT
fi
mkdir -p "$FUZZ_DIR/corpus"
clang -std=c99 ${FUZZ_OPT:--O1} -g -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Wmissing-prototypes -Werror \
    -fsanitize="fuzzer,$sanitizers" -fno-sanitize-recover=all -Icsrc csrc/*.c tests/trust/fuzz.c -lm -o "$FUZZ_DIR/fuzz"
seed=$(date +%s)
echo "seed $seed"
"$FUZZ_DIR/fuzz" -seed="$seed" -max_total_time="$seconds" -max_len=2048 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="$FUZZ_DIR/" "$FUZZ_DIR/corpus" tests/trust/corpus >"$FUZZ_DIR/log" 2>&1 || {
    tail -n 60 "$FUZZ_DIR/log"
    exit 1
}
grep -E 'number_of_executed_units|new_units_added|peak_rss' "$FUZZ_DIR/log"

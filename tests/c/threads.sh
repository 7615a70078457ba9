#!/bin/sh
# ThreadSanitizer on the C core:   tests/c/threads.sh   ($CC: another compiler than cc)
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for sanitizer in thread ""; do
    ${CC:-cc} -std=c99 -D_POSIX_C_SOURCE=200809L -O1 -g ${sanitizer:+-fsanitize=$sanitizer} -Icsrc csrc/*.c tests/c/test_threads.c \
        -lm -lpthread -o "$build/test_threads"
    "$build/test_threads"
done

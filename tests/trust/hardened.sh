#!/bin/sh
# Whether shared objects (ELF) are hardened as setup.py asks:   tests/trust/hardened.sh FILE...
# What the loader resolves is read-only then, the stack holds no code, and no code can be written to. Of _FORTIFY_SOURCE
# there is a trace where its checks could not be decided by the compiler: in the extension, not in the core alone.
set -eu
for file in "$@"; do
    headers=$(readelf -ldW "$file")
    for sign in BIND_NOW GNU_RELRO 'GNU_STACK.* RW '; do
        echo "$headers" | grep -q -- "$sign" || { echo "$file: no $sign"; exit 1; }
    done
    if echo "$headers" | grep -qE 'LOAD.* RWE |TEXTREL'; then
        echo "$file: code that can be written to"
        exit 1
    fi
    case $file in
    *_core*) nm -D "$file" | grep -q '_chk@' || { echo "$file: no trace of _FORTIFY_SOURCE"; exit 1; } ;;
    esac
    echo "ok      $file"
done

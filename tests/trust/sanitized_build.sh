#!/bin/sh
# Installs the package, compiled with the sanitizers, into a directory of its own:   sanitized_build.sh DIRECTORY [PYTHON]
# From a copy of the tree, so that no object file of it is ever taken up by another build.
set -eu
cd "$(dirname "$0")/../.."
target=$1
python=${2:-.venv/bin/python}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | xargs -0 tar cf - | tar xf - -C "$copy"
sed -i 's/"-O3"/"-O1"/' "$copy/setup.py"
CFLAGS="-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
    "$python" -m pip install -q --no-deps --target "$target" "$copy"

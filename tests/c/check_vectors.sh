#!/bin/sh
# Are the hot loops vector code?   [CC=gcc] tests/c/check_vectors.sh
# A loop that a compiler cannot vectorise is silently several times slower; no other test would notice.
#
# The criterion, for each function below, of the kernels compiled as setup.py does: at least so many packed
# multiplications, additions, divisions and fused operations in registers of the full width, and no fewer of them than
# scalar ones. (clang leaves a scalar copy of each loop for a remainder that never comes, gcc none. An activation whose
# loop stays scalar tips the balance.) Counted with gcc 12 and clang 14 and 16: layer_jet 660 to 690 packed,
# layer_value 595 to 775, tile_loss 135, the loops of gradient_sums, wherever they are inlined, 26 to 130.
# That it can fail is part of the test: the same files compiled without vectorisation must not pass.
set -u
cd "$(dirname "$0")/../.." || exit 2

cc=${CC:-cc}
object=$(mktemp) || exit 2
trap 'rm -f "$object" "$object".*' EXIT
FLAGS=$(sed -n '/^UNIX_FLAGS/,/^]/s/^ *"\(-.*\)",$/\1/p' setup.py | tr '\n' ' ')
SCALAR='-fno-tree-vectorize -fno-tree-slp-vectorize'

if ! command -v objdump >/dev/null 2>&1; then
    echo "objdump is not installed"
    exit 1
fi

# enough REGISTER LEAST NAMES: whether the functions called NAMES (a regular expression) have LEAST packed operations
# on REGISTER and fewer scalar ones. Reads the disassembly.
enough() {
    awk -v register="$1" -v least="$2" -v names="$3" '
        /^[0-9a-f]+ </ { inside = $2 ~ "^<_?(" names ")[.>]" }
        inside && $2 ~ /^v(fn?m(add|sub)[0-9]+|mul|add|sub|div)pd$/ && $0 ~ register { packed++ }
        inside && $2 ~ /^v(fn?m(add|sub)[0-9]+|mul|add|sub|div)sd$/ { scalar++ }
        END {
            printf "%s: %d packed on %s, %d scalar, at least %d wanted\n", names, packed, register, scalar, least
            exit !(packed >= least && packed >= scalar)
        }' "$object.text"
}

# check LEVEL REGISTER FLAGS...: whether all hot loops of a kernel file are vector code; exit status 2 if it does not
# compile.
check() {
    level=$1
    register=$2
    shift 2
    $cc "$@" -c "csrc/kernels_$level.c" -o "$object.o" || return 2
    objdump -d --no-show-raw-insn "$object.o" >"$object.text" || return 2
    enough "$register" 400 lanes_jet &&
        enough "$register" 400 layer_value &&
        enough "$register" 80 tile_loss &&
        enough "$register" 60 'add_normal|add_products|add_all_products' &&
        enough "$register" 60 'fit_lanes|judge_trial|learn_bend|factor_normal|solve_factored|plan_trial' &&
        enough "$register" 20 'choose_starts|choose_shared' &&
        enough "$register" 20 'gradient_sums|add_tile|add_tile_products|backward_layer|weigh_tile'
}

status=0
for pair in avx2:ymm avx512:zmm; do
    level=${pair%:*}
    register=${pair#*:}
    # shellcheck disable=SC2086
    if ! check "$level" "$register" $FLAGS; then
        echo "kernels_$level.c by $cc: a hot loop is not vector code"
        status=1
    fi
    # shellcheck disable=SC2086
    check "$level" "$register" $FLAGS $SCALAR >"$object.scalar"
    if [ $? -ne 1 ]; then
        echo "kernels_$level.c by $cc $SCALAR: this scalar build should have failed the check"
        status=1
    fi
done
exit $status

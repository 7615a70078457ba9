#!/bin/sh
# Every check of the C core that needs no Python but to write the single file:   tests/c/run.sh
# Uses gcc and clang, those that are present, or the one compiler that $CC names. Builds in a temporary directory.
set -u
cd "$(dirname "$0")/../.." || exit 2

build=$(mktemp -d) || exit 2
trap 'rm -rf "$build"' EXIT
trap 'exit 130' INT TERM

passed=0
failed=0

# check TITLE COMMAND...: one line for a success; for a failure what the command said as well.
check() {
    title=$1
    shift
    if "$@" >"$build/log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$title"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$title"
        sed 's/^/    /' "$build/log"
    fi
}

skip() {
    printf 'skipped %s\n' "$1"
}

# What setup.py compiles with, but for the language, which is C99 here.
FLAGS=$(sed -n '/^UNIX_FLAGS/,/^]/s/^ *"\(-.*\)",$/\1/p' setup.py | grep -v '^-std=' | tr '\n' ' ')
WARNINGS='-Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Werror'
TESTS='test_status test_dispatch test_chain test_hessian test_elementary test_kernels test_fit
test_fit_descent test_fit_descent_ends test_fit_lm test_fit_lm_losses test_fit_lm_ends test_covariance
test_chains test_many test_many_ends test_starts test_fit_pass test_golden test_curve test_curve_ends test_curve_limits
test_curve_intervals test_curve_groups test_curve_own'
case $FLAGS in
*-ffp-contract=off*) ;;
*)
    echo "run.sh: the flags of setup.py were not found" >&2
    exit 2
    ;;
esac

# compile_core DIRECTORY FLAGS...: the core's objects, compiled side by side.
compile_core() {
    objects=$1
    shift
    mkdir -p "$objects" || return 1
    for source in csrc/*.c; do
        $cc "$@" -c "$source" -o "$objects/$(basename "$source" .c).o" &
    done
    wait
    for source in csrc/*.c; do
        test -e "$objects/$(basename "$source" .c).o" || return 1
    done
}

# build_all DIRECTORY FLAGS...: the core's objects and the test programs.
build_all() {
    to=$1
    shift
    compile_core "$to" -std=c99 "$@" || return 1
    for test in $TESTS; do
        $cc -std=c99 "$@" -Icsrc "tests/c/$test.c" "$to"/*.o -lm -o "$to/$test" &
    done
    wait
    for test in $TESTS; do
        test -x "$to/$test" || return 1
    done
}

# suite TITLE DIRECTORY FLAGS...: builds and runs them all.
suite() {
    title_of_suite=$1
    in=$2
    shift 2
    check "$title_of_suite: build" build_all "$in" "$@"
    for name in $TESTS; do
        check "$title_of_suite: $name" "$in/$name"
    done
}

# Every global name of the core is its own, and all that it asks of others is to copy, fill and compare memory, and a
# square root or a fused multiply-add where that is no single instruction: no allocation, no stdio, no errno.
# ("_?": where C names carry an underscore. The stack protector is the distribution's choice of default.)
only_own_names() {
    nm -g "$1"/*.o | grep -v ':$' >"$build/names" || return 1
    grep -Eq ' T _?cbp_forward$' "$build/names" || return 1
    ! grep -Ev ' [A-Za-z] _?(cbp_[a-z0-9_]*|_GLOBAL_OFFSET_TABLE_|mem(cpy|set|move|cmp)|strcmp|sqrtf?|fmaf?|_?_stack_chk_(fail|guard))$' \
        "$build/names" | grep -v '^$'
}

# bits_of OUTPUT DIRECTORY: the bits that the core's objects there give. The program that asks is always compiled in one
# way, so that the questions are the same.
bits_of() {
    $cc -ffp-contract=off -Icsrc -c tests/c/print_bits.c -o "$1.o" && $cc "$2"/*.o "$1.o" -lm -o "$1.program" &&
        "$1.program" >"$1"
}

# bits_by OUTPUT FLAGS...: those of the core compiled by these flags alone.
bits_by() {
    to=$1
    shift
    compile_core "$to.core" "$@" && bits_of "$to" "$to.core"
}

# same_bits OUTPUT DIRECTORY: those of the objects there are the reference's. same_bits_by OUTPUT FLAGS...: those by flags.
same_bits() {
    bits_of "$@" && diff "$reference" "$1"
}

same_bits_by() {
    bits_by "$@" && diff "$reference" "$1"
}

# With FMA in the generic kernels' own instruction set, they too must give the bits of those above them.
same_bits_generic() {
    bits_by "$@" || return 1
    sed -n '/^generic$/,/^avx2$/p' "$1" | grep -v '^generic$\|^avx2$' >"$1.generic"
    sed -n '/^avx2$/,/^avx512$/p' "$reference" | grep -v '^avx2$\|^avx512$' >"$1.avx2"
    test -s "$1.generic" && diff "$1.avx2" "$1.generic"
}

# refuses FLAG: with what would change the numbers without a word, the core does not compile.
refuses() {
    ! $cc "$1" -fsyntax-only csrc/chains.c 2>"$build/refused" && grep -q 'IEEE arithmetic\|constants_are_double' "$build/refused"
}

compilers=
for candidate in ${CC:+"$CC"} $([ -n "${CC:-}" ] || echo gcc clang); do
    if command -v "${candidate%% *}" >/dev/null 2>&1; then
        compilers="$compilers $candidate"
    else
        skip "$candidate: not installed"
    fi
done
if [ -z "$compilers" ]; then
    echo "run.sh: no C compiler" >&2
    exit 2
fi

# The core as one file, which must be quiet, keep its names, and give the reference's bits.
single_file() {
    $cc -std=c99 "$@" -c "$build/single/include/cbackprop.c" -o "$build/single/cbackprop.o" &&
        same_bits "$build/single.bits" "$build/single" && only_own_names "$build/single"
}

python3 csrc/single_file.py "$build/single" || exit 2

reference=
for cc in ${CC:+"$CC"} $([ -n "${CC:-}" ] || echo "$compilers"); do
    tag=$build/$(printf %s "$cc" | tr -c 'A-Za-z0-9\n' _)

    # shellcheck disable=SC2086
    suite "$cc" "$tag" $FLAGS $WARNINGS
    check "$cc: names" only_own_names "$tag"
    # shellcheck disable=SC2086
    suite "$cc, single precision" "$tag.single" $FLAGS $WARNINGS -DCBP_SINGLE

    # shellcheck disable=SC2086
    check "$cc: header, C99" $cc -std=c99 -Wall -Wextra -Wpedantic -Werror -Icsrc tests/c/test_header.c -o "$tag.header"
    check "$cc: header, run" "$tag.header"
    case $cc in
    gcc*) cxx=g++${cc#gcc} ;;
    clang*) cxx=clang++${cc#clang} ;;
    *) cxx=${CXX:-c++} ;;
    esac
    if command -v "${cxx%% *}" >/dev/null 2>&1; then
        # shellcheck disable=SC2086
        check "$cxx: header, C++11" $cxx -std=c++11 -Wall -Wextra -Wpedantic -Werror -Icsrc tests/c/test_header.cpp \
            "$tag"/*.o -lm -o "$tag.header++"
        check "$cxx: header, run" "$tag.header++"
    else
        skip "$cxx: header, C++11: not installed"
    fi

    unsafe='-ffast-math -ffinite-math-only'
    case $cc in
    gcc*) unsafe="$unsafe -fno-signed-zeros -freciprocal-math -funsafe-math-optimizations -fsingle-precision-constant" ;;
    esac
    for flag in $unsafe; do
        check "$cc: refuses $flag" refuses "$flag"
    done

    if [ -z "$reference" ]; then
        reference=$tag.bits
        check "$cc: bits" bits_of "$reference" "$tag"
    else
        check "$cc: bits" same_bits "$tag.bits" "$tag"
    fi
    # shellcheck disable=SC2086
    check "$cc: single file" single_file -O2 $WARNINGS
    check "$cc: bits of a bare build" same_bits_by "$tag.bare"
    check "$cc: bits of a bare build, -O2" same_bits_by "$tag.bare2" -O2
    if grep -q '^avx2$' "$reference"; then
        check "$cc: bits of a build with -O2 -mfma" same_bits_generic "$tag.fma" -O2 -mfma
    fi

    printf 'int main(void) { return 0; }\n' >"$build/empty.c"
    sanitize='-fsanitize=address,undefined -fno-sanitize-recover=all'
    # shellcheck disable=SC2086
    if $cc $sanitize "$build/empty.c" -o "$build/empty" >/dev/null 2>&1 && "$build/empty"; then
        # shellcheck disable=SC2086
        suite "$cc, sanitizers" "$tag.sanitized" $FLAGS -O1 -g $sanitize
    else
        skip "$cc, sanitizers: not installed"
    fi

    case $(uname -m) in
    x86_64 | amd64)
        check "$cc: vectors" env CC="$cc" sh tests/c/check_vectors.sh
        ;;
    *) skip "$cc: vectors: for x86-64" ;;
    esac
done

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

#!/bin/sh
# The core by CMake, as a packager and a user would have it:   tests/c/install.sh
# Builds, runs CTest, installs to a temporary folder, compares the exported names with symbols.txt, and compiles
# a program against what was installed: by find_package (each target), and by pkg-config.
set -eu
cd "$(dirname "$0")/../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
prefix=$build/prefix

quiet() {
    "$@" >"$build/log" 2>&1 || {
        cat "$build/log"
        echo "FAILED  $*"
        exit 1
    }
}

for single in OFF ON; do
    # run.sh tests the single precision
    [ $single = OFF ] && testing=ON || testing=OFF
    quiet cmake -S csrc -B "$build/core$single" -DCMAKE_INSTALL_PREFIX="$prefix" -DCBP_SINGLE=$single -DBUILD_TESTING="$testing"
    quiet cmake --build "$build/core$single"
    quiet ctest --test-dir "$build/core$single" --output-on-failure
    quiet cmake --install "$build/core$single"
    echo "ok      build, test, install; CBP_SINGLE=$single"
done

for library in libcbackprop libcbackprop_single; do
    nm -D --defined-only "$prefix"/lib*/$library.so | awk '{ print $3 }' | sort >"$build/symbols"
    diff tests/c/symbols.txt "$build/symbols"
done
echo "ok      exported names"
if [ "$(uname)" = Linux ]; then
    sh tests/trust/hardened.sh "$prefix"/lib*/libcbackprop.so
fi

mkdir "$build/user"
cat >"$build/user/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(user LANGUAGES C)
find_package(cbackprop 0.1 REQUIRED)
foreach(kind shared static cbackprop)
    add_executable(user_${kind} ${PROGRAM})
    target_link_libraries(user_${kind} PRIVATE cbackprop::${kind})
endforeach()
END
quiet cmake -S "$build/user" -B "$build/user" -DCMAKE_PREFIX_PATH="$prefix" -DPROGRAM="$PWD/examples/languages/c/chain.c"
quiet cmake --build "$build/user"

PKG_CONFIG_PATH=$(dirname "$prefix"/lib*/pkgconfig/cbackprop.pc)
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
quiet cc examples/languages/c/chain.c $(pkg-config --cflags --libs cbackprop) -lm -Wl,-rpath,"$(pkg-config --variable=libdir cbackprop)" \
    -o "$build/user/user_pkgconfig"

printf '2 1 0 0 0\n1 1\n0 0 0 0\n1.5 0.1 -0.8 0.3\n0.5\n1\n' >"$build/input"
for kind in shared static cbackprop pkgconfig; do
    "$build/user/user_$kind" <"$build/input" >"$build/$kind"
    grep -q '^forward 0\.43525' "$build/$kind"
    diff "$build/shared" "$build/$kind"
    echo "ok      a program by $kind"
done

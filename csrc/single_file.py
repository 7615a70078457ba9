"""Writes the core as few files: ``python csrc/single_file.py DIRECTORY``.

``include/cbackprop.c`` is the whole core, compiled beside ``include/cbackprop.h``; ``exported.h``
has the activations alone: ``cbackprop export`` begins every header with it.

The sources stand in ``cbackprop.c`` one after the other, below the headers that they share. What a
source keeps to itself (static functions, types, macros) gets its file's name added, by macros that
end with it: two sources may have a name in common, and the kernels' template is there once for each
target. A header without a guard is such a template; so is what it alone includes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PUBLIC = "cbackprop.h"
INCLUDE = re.compile(r'#include "(\w+\.h)"')


def guarded(header: str) -> bool:
    """Tell whether a header may come twice."""
    return re.search(r"^#ifndef (\w+)\n#define \1\n", text_of(header), re.MULTILINE) is not None


def text_of(name: str) -> str:
    """Read a file of this folder."""
    return (HERE / name).read_text(encoding="utf-8")


def shared_headers(name: str) -> Iterator[str]:
    """Yield the guarded headers that a file includes, those first which others need."""
    for header in INCLUDE.findall(text_of(name)):
        if header != PUBLIC and guarded(header):
            yield from shared_headers(header)
            yield header


def expanded(name: str, there: set[str]) -> str:
    """Return a file's text with everything in it that it includes and that is not `there`."""

    def included(match: re.Match[str]) -> str:
        header = match[1]
        if header in there:
            return ""
        there.add(header)
        return expanded(header, there)

    return INCLUDE.sub(included, text_of(name))


def declarations(text: str) -> str:
    """Leave what stands outside of comments, directives, strings and braces."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.MULTILINE)
    text = re.sub(r'"(?:\\.|[^"\\])*"', "", text)
    while (shorter := re.sub(r"\{[^{}]+\}", "{}", text)) != text:
        text = shorter
    return text


def own_names(text: str) -> set[str]:
    """Return the names that a source declares for itself."""
    outside = declarations(text)
    return {
        *re.findall(r"\b(?:static|CBP_INLINE)\b[^;{}()=\[]*?(\w+)\s*[(\[=;]", outside),
        *re.findall(r"\b(?:struct|union|enum)\s+(\w+)\s*\{", outside),
        *re.findall(r"\btypedef\b[^;]*?(\w+)\s*;", outside),
        *names_by_macros(text),
    }


def names_by_macros(text: str) -> Iterator[str]:
    """Yield the functions that macros of one argument declare: ``DECLARE(x)`` for ``a_x_b``."""
    made = r"#define (\w+)\((\w+)\)\s*\\\n\s*(?:static|CBP_INLINE)\b[^(]*?(\w*)##\2##(\w*)\("
    for macro, _, head, tail in re.findall(made, text):
        for name in re.findall(rf"^{macro}\((\w+)\)", text, re.MULTILINE):
            yield f"{head}{name}{tail}"


def own_macros(text: str) -> list[str]:
    """Return the macros that a source defines."""
    names = re.findall(r"^#define (\w+)", text, re.MULTILINE)
    return list(dict.fromkeys(names))


def after_system_headers(text: str) -> int:
    """Return the place behind the last ``#include <...>`` where no ``#if`` is open."""
    place = text.rfind("#include <")
    if place < 0:
        return 0
    depth = 0
    for line in re.finditer(r"^#(if|endif)?.*\n", text, re.MULTILINE):
        depth += {"if": 1, "endif": -1}.get(line[1], 0)
        if line.start() >= place and depth == 0:
            return line.end()
    raise ValueError("an #if has no #endif")


def pragma(words: str) -> str:
    """Return a pragma of gcc's that clang does not know."""
    return f"#if defined(__GNUC__) && !defined(__clang__)\n#pragma GCC {words}\n#endif\n"


def section(source: str, shared: set[str]) -> str:
    """Return one source as a part of the whole."""
    text = expanded(source, set(shared))
    suffix = f"_{Path(source).stem}"
    names = own_names(text)
    # a macro would also rename a member of that name, whose struct is not of this source
    members = {name for name in names if re.search(rf"(?:\.|->){name}\b", text)}
    for name in members:
        text = re.sub(rf"(?<![.\w])(?<!->){name}\b", name + suffix, text)
    renamed = sorted(names - members)
    before = "".join(f"#define {name} {name}{suffix}\n" for name in renamed)
    after = "".join(f"#undef {name}\n" for name in [*renamed, *own_macros(text)])
    start = after_system_headers(text)
    parts = [f"/* ==== {source} ==== */\n", text[:start], before, text[start:], after]
    if "#pragma GCC target" in text:
        parts = [pragma("push_options"), *parts, pragma("pop_options")]
    return "".join(parts)


def single_file() -> str:
    """Return the whole core as one C source."""
    sources = sorted(path.name for path in HERE.glob("*.c"))
    headers = list(dict.fromkeys(h for source in sources for h in shared_headers(source)))
    shared = {PUBLIC, *headers}
    parts = [
        f"/* cbackprop in one file, made of its sources by {Path(__file__).name}: compile it with\n"
        f" * any level of optimization, beside {PUBLIC}.\n *\n",
        licence(),
        f'\n */\n#include "{PUBLIC}"\n',
        *(f"\n/* ==== {header} ==== */\n{INCLUDE.sub('', text_of(header))}" for header in headers),
        *(f"\n{section(source, shared)}" for source in sources),
    ]
    return re.sub(r"[ \t]+\n", "\n", re.sub(r"\n{3,}", "\n\n", "".join(parts)))


def inline_header() -> str:
    """Return the activations as a header, which may come again and beside the public one."""
    found = re.search(r"#if [^\n]*__FMA__.*?#endif\n", text_of("kernels_generic.c"), re.DOTALL)
    if found is None:
        raise ValueError("kernels_generic.c does not say what is fused")
    major, minor, patch = re.findall(r"#define CBP_VERSION_[A-Z]+ (\d+)", text_of(PUBLIC))
    return (
        f"/* The activations of cbackprop, inline.\n *\n{licence()}\n */\n"
        f"{text_of(PUBLIC)}\n"
        f"#if CBP_VERSION_MAJOR != {major} || CBP_VERSION_MINOR != {minor} || "
        f"CBP_VERSION_PATCH != {patch}\n"
        '#error "headers of another version of cbackprop came before: export them by one version"\n'
        "#endif\n\n"
        "#ifndef CBP_EXPORTED\n#define CBP_EXPORTED\n\n"
        f"{found[0]}\n{expanded('activation.h', {PUBLIC})}\n#endif /* CBP_EXPORTED */\n"
    )


def licence() -> str:
    """Return the licence's lines inside a comment."""
    text = (HERE.parent / "LICENSE").read_text(encoding="utf-8").strip()
    return re.sub("[ \t]+\n", "\n", re.sub("(?m)^", " * ", text))


def write(directory: Path) -> None:
    """Write the core and its header to `include`, and beside it what exported chains begin with."""
    (directory / "include").mkdir(parents=True, exist_ok=True)
    texts = {
        "include/cbackprop.c": single_file(),
        f"include/{PUBLIC}": text_of(PUBLIC),
        "exported.h": inline_header(),
    }
    for name, text in texts.items():
        target = directory / name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
    write(Path(sys.argv[1]))

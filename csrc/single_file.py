"""Writes the core as few files: ``python csrc/single_file.py DIRECTORY``.

``include/cbackprop.c`` is the whole core, compiled beside ``include/cbackprop.h``; ``exported.h``
has the activations alone: ``cbackprop export`` begins every header with it. Both are without the
comments of the sources, which would be a quarter of them.

The sources stand in ``cbackprop.c`` one after the other, and no two of them have a private name in
common. But the loops are compiled once for each target, where the file includes itself: there each
name gets the target's added, by a macro that ends with that target.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
PUBLIC = "cbackprop.h"
WHOLE = "cbackprop.c"
INCLUDE = re.compile(r'#include "([\w/]+\.h)"\n')
STATIC = re.compile(r"^(?:static|CBP_INLINE)\b[^;{}()=\[]*?(\w+)[(\[]", re.MULTILINE)
TYPE = re.compile(r"^(?:typedef struct (\w+) \{|typedef [\w ]+ (\w+);)", re.MULTILINE)
NO_INVERSE = re.compile(r"^CBP_NO_INVERSE\((\w+)\)", re.MULTILINE)
MEMBER = re.compile(r"^    \.(\w+) = ", re.MULTILINE)
MACRO = re.compile(r"^#define (\w+)", re.MULTILINE)
COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|/\*(?! ====| ----).*?\*/', re.DOTALL)


def text_of(path: Path) -> str:
    """Read a source."""
    return path.read_text(encoding="utf-8")


def expanded(path: Path, there: set[Path]) -> str:
    """Return a file's text with each file that it includes and that is not `there`, once."""

    def included(match: re.Match[str]) -> str:
        beside = path.parent / match[1]
        header = beside if beside.exists() else HERE / match[1]
        if header in there:
            return ""
        there.add(header)
        return expanded(header, there)

    text = INCLUDE.sub(included, text_of(path))
    return f"\n/* ==== {path.name} ==== */\n{text}/* ==== end of {path.name} ==== */\n"


def pragma(words: str) -> str:
    """Return a pragma of gcc's that clang does not know."""
    return f"#if defined(__GNUC__) && !defined(__clang__)\n#pragma GCC {words}\n#endif\n"


def loops(there: set[Path]) -> str:
    """Return the loops, which are compiled for one target at a time."""
    text = "".join(expanded(HERE / name, there) for name in ("loss.h", "kernels/table.h"))
    # a macro that renames a function would rename the member of the table that it is, too
    members = "|".join(sorted(set(STATIC.findall(text)) & set(MEMBER.findall(text))))
    return re.sub(rf"(?<!\.)\b({members})\b", r"\1_loop", text)


def for_target(path: Path, loops_text: str) -> str:
    """Return what includes the loops for one target, with names of their own."""
    text = f"\n/* ==== {path.name} ==== */\n{text_of(path)}/* ==== end of {path.name} ==== */\n"
    text = text.replace('#include "kernels.h"\n', "").replace('#include "loss.h"\n\n', "")
    text = text.replace('#include "kernels/table.h"\n', f'#include "{WHOLE}"\n')
    target = path.stem.removeprefix("kernels_")
    types = {name for pair in TYPE.findall(loops_text) for name in pair if name}
    inverses = {f"cbp_{name}_inverse" for name in NO_INVERSE.findall(loops_text)}
    names = sorted(set(STATIC.findall(loops_text)) | types | inverses)
    macros = [*names, *MACRO.findall(loops_text), *MACRO.findall(text)]
    return "".join(
        [
            *(pragma("push_options"), *(f"#define {name} {name}_{target}\n" for name in names)),
            text,
            *(f"#undef {name}\n" for name in dict.fromkeys(macros)),
            pragma("pop_options"),
        ]
    )


def single_file() -> str:
    """Return the whole core as one C source, which includes itself for the loops of each target."""
    there = {HERE / PUBLIC}
    targets = sorted(HERE.glob("kernels_*.c"))
    sources = [path for path in sorted(HERE.glob("*.c")) if path not in targets]
    shared = [expanded(path, there) for path in sources]
    loops_text = loops(there)
    code = [
        f'#ifndef CBP_LOOPS\n#include "{PUBLIC}"\n',
        *shared,
        "\n#define CBP_LOOPS\n",
        *(for_target(path, loops_text) for path in targets),
        f"#else\n{loops_text}#endif\n",
    ]
    return (
        f"/* cbackprop in one file, made of its sources by {Path(__file__).name}: compile it with\n"
        f" * any level of optimization, beside {PUBLIC}. It includes itself: keep its name.\n *\n"
        f"{licence()}\n */\n{bare(''.join(code))}"
    )


def bare(code: str) -> str:
    """Return code without comments, but for those that name its parts, and without empty lines."""
    code = COMMENT.sub(lambda found: found[1] or "", code)
    return re.sub(r"[ \t]*\n(\s*\n)?", "\n", code)


def inline_header() -> str:
    """Return the activations as a header, which may come again and beside the public one.

    `cbackprop export` puts the public header in the place where it is included.
    """
    found = re.search(
        r"#if [^\n]*__FMA__.*?#endif\n", text_of(HERE / "kernels_generic.c"), re.DOTALL
    )
    if found is None:
        raise ValueError("kernels_generic.c does not say what is fused")
    public = text_of(HERE / PUBLIC)
    major, minor, patch = re.findall(r"#define CBP_VERSION_[A-Z]+ (\d+)", public)
    return (
        f"/* The activations of cbackprop, inline.\n *\n{licence()}\n */\n"
        f'#include "{PUBLIC}"\n\n'
        f"#if CBP_VERSION_MAJOR != {major} || CBP_VERSION_MINOR != {minor} || "
        f"CBP_VERSION_PATCH != {patch}\n"
        '#error "headers of another version of cbackprop came before: export them by one version"\n'
        "#endif\n\n"
        "#ifndef CBP_EXPORTED\n#define CBP_EXPORTED\n\n"
        f"{found[0]}\n{bare(expanded(HERE / 'activation.h', {HERE / PUBLIC}))}\n"
        "#endif /* CBP_EXPORTED */\n"
    )


def licence() -> str:
    """Return the licence's lines inside a comment."""
    text = text_of(HERE.parent / "LICENSE").strip()
    return re.sub("[ \t]+\n", "\n", re.sub("(?m)^", " * ", text))


def write(directory: Path) -> None:
    """Write the core and its header to `include`, and beside it what exported chains begin with."""
    (directory / "include").mkdir(parents=True, exist_ok=True)
    texts = {
        f"include/{WHOLE}": single_file(),
        f"include/{PUBLIC}": text_of(HERE / PUBLIC),
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

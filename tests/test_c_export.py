"""A chain written as C: compiled on its own, it computes what `Chain` does, bit for bit."""

from __future__ import annotations

import contextlib
import math
import shutil
import subprocess
from pathlib import Path

import pytest

import cbackprop as cbp
from cbackprop.cli import main

NEEDS_CC = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

PROGRAM = r"""
#include "model.h"

#include <stdio.h>

static void print(double number)
{
    printf(" %a", number);
}

int main(void)
{
    cbp_real params[sizeof model_params / sizeof *model_params];
    cbp_real gradient[sizeof params / sizeof *params];
    double x, y;
    while (scanf("%lf %lf", &x, &y) == 2) {
        memcpy(params, model_params, sizeof params);
        print(model_forward(params, x));
        print(INVERSE(params, y));
        print(model_gradient(params, x, y, gradient));
        for (unsigned k = 0; k < sizeof params / sizeof *params; k++) {
            print(gradient[k]);
        }
        print(model_step(params, x, y, 0.125));
        for (unsigned k = 0; k < sizeof params / sizeof *params; k++) {
            print(params[k]);
        }
        printf("\n");
    }
    return 0;
}
"""
# with the C library's fma where the processor's is not asked for
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1", "-D__FP_FAST_FMA")
EXAMPLES = ((0.5, 0.25), (3.0, 1.5), (0.0, 0.75), (0.125, -2.0), (1e300, 0.5), (math.nan, 0.5))


def computed(net: cbp.Chain, folder: Path, *, inverse: bool) -> list[list[float]]:
    (folder / "model.h").write_text(cbp.export_c(net))
    (folder / "program.c").write_text(PROGRAM)
    define = "-DINVERSE=model_inverse" if inverse else "-DINVERSE(params, y)=y"
    command = ["cc", *FLAGS, define, "program.c", "-lm", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True)
    text = "".join(f"{x!r} {y!r}\n" for x, y in EXAMPLES)
    done = subprocess.run(
        [str(folder / "program")], input=text, capture_output=True, encoding="utf-8", check=True
    )
    return [list(map(float.fromhex, line.split())) for line in done.stdout.splitlines()]


def expected(net: cbp.Chain, x: float, y: float, *, inverse: bool) -> list[float]:
    loss, gradient = net.loss_and_gradient(x, y)
    stepped = net.copy()
    with contextlib.suppress(
        cbp.CBackpropError
    ):  # a gradient that is not finite: no step in either
        stepped.step(x, y, 0.125)
    back = net.inverse(y) if inverse else y
    return [net(x), back, loss, *gradient.tolist(), loss, *stepped.params.tolist()]


@NEEDS_CC
@pytest.mark.parametrize("names", [cbp.ACTIVATIONS[k : k + 4] for k in range(0, 22, 4)], ids=str)
def test_every_activation_by_its_bits(names: tuple[str, ...], tmp_path: Path) -> None:
    net = cbp.Chain(
        [0.75, -1.25, 0.5, 1.5][: len(names)], [0.5, 0.25, 2, 0.125][: len(names)], names
    )
    inverse = not {"relu", "silu", "gelu", "square", "gaussian", "sin"} & set(names)
    for (x, y), got in zip(EXAMPLES, computed(net, tmp_path, inverse=inverse), strict=True):
        assert list(map(repr, got)) == list(map(repr, expected(net, x, y, inverse=inverse)))


@NEEDS_CC
def test_frozen_parameters_stay(tmp_path: Path) -> None:
    net = cbp.Chain(
        [1, 2.0, 5.0], [0, 0.5, 0], ["log", "sigmoid", "identity"], frozen=("w1", "b1", "b3")
    )
    for (x, y), got in zip(EXAMPLES, computed(net, tmp_path, inverse=True), strict=True):
        assert list(map(repr, got)) == list(map(repr, expected(net, x, y, inverse=True)))


def test_a_chain_without_inverse_has_none() -> None:
    assert "model_inverse" not in cbp.export_c(cbp.Chain([1.0], [0.0], "square"))
    assert "model_inverse" not in cbp.export_c(cbp.Chain([0.0], [0.0], "tanh"))


@pytest.mark.parametrize("name", ["", "2nd", "a-b", "a b", "é", "x;"])
def test_a_name_that_is_none_in_c(name: str) -> None:
    with pytest.raises(cbp.ParameterError, match="name: "):
        cbp.export_c(cbp.Chain([1.0], [0.0]), name)


TAKEN = ("cbp", "cbp_sigmoid", "CBP_model", "Cbp_", "cbackprop", "CBackProp", "math", "String")


@pytest.mark.parametrize("name", [*TAKEN, "stdint", "stddef", "float"])
def test_a_name_that_is_taken(name: str, tmp_path: Path) -> None:
    net = cbp.Chain([1.0], [0.0])
    with pytest.raises(cbp.ParameterError, match=f"name: '{name}'"):
        cbp.export_c(net, name)
    net.save(tmp_path / "net.json")
    assert main(["export", str(tmp_path / "net.json"), "--c", str(tmp_path / f"{name}.h")]) == 2
    assert not (tmp_path / f"{name}.h").exists()


# All of these may be in one program, however they are ordered and cased; keywords of C too.
TOGETHER = ("model", "Model", "MODEL", "int", "main", "cbpx", "model_h")


@NEEDS_CC
@pytest.mark.parametrize("core", [("cbackprop.h",), ()], ids=["with the core's header", "alone"])
@pytest.mark.parametrize("last", [False, True], ids=["core first", "core last"])
def test_headers_go_together(core: tuple[str, ...], last: bool, tmp_path: Path) -> None:
    net = cbp.Chain([2.0, 1.0], [0.5, 0.25], ["tanh", "exp"])
    for name in TOGETHER:
        (tmp_path / f"{name}_.h").write_text(cbp.export_c(net, name))
        net.params[:] += 0.125
    own = [f"{name}_.h" for name in TOGETHER]
    lines = [f'#include "{name}"' for name in ([*own, *core] if last else [*core, *own])]
    lines += ["#include <stdio.h>", "int main(void)", "{"]
    lines += [f'printf("%a\\n", {name}_forward({name}_params, 0.5));' for name in TOGETHER]
    lines += ["return 0;", "}"]
    (tmp_path / "program.c").write_text("\n".join(lines))
    include = [f"-I{cbp.get_include()}"] * len(core)
    command = ["cc", *FLAGS, "-Wpedantic", *include, "program.c", "-lm", "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True)
    program = [str(tmp_path / "program")]
    printed = subprocess.run(program, capture_output=True, text=True, check=True)
    net.params[:] -= 0.125 * len(TOGETHER)
    expected = []
    for _ in TOGETHER:
        expected.append(net(0.5))
        net.params[:] += 0.125
    assert list(map(float.fromhex, printed.stdout.split())) == expected


@NEEDS_CC
def test_a_header_of_another_version_is_refused(tmp_path: Path) -> None:
    text = cbp.export_c(cbp.Chain([1.0], [0.0]), "older")
    older = text.replace("#define CBP_VERSION_MINOR ", "#define CBP_VERSION_MINOR 9")
    assert older != text
    (tmp_path / "older.h").write_text(older)
    (tmp_path / "model.h").write_text(cbp.export_c(cbp.Chain([1.0], [0.0])))
    (tmp_path / "program.c").write_text('#include "older.h"\n#include "model.h"\n')
    done = subprocess.run(
        ["cc", "-E", "program.c"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "another version" in done.stderr


@NEEDS_CC
@pytest.mark.parametrize("flag", ["-ffast-math", "-ffinite-math-only"])
def test_flags_that_change_numbers_are_refused(flag: str, tmp_path: Path) -> None:
    (tmp_path / "model.h").write_text(cbp.export_c(cbp.Chain([1.0], [0.0])))
    command = ["cc", flag, "-E", "-x", "c", "model.h"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "IEEE arithmetic" in done.stderr


def test_nothing_else_is_needed() -> None:
    text = cbp.export_c(cbp.Chain([1.0], [0.0]))
    assert '#include "' not in text
    assert "Permission is hereby granted" in text  # the licence goes where the code goes
    assert sorted(path.name for path in Path(cbp.get_include()).iterdir()) == [
        "cbackprop.c",
        "cbackprop.h",
    ]


def test_a_parameter_that_is_not_finite() -> None:
    net = cbp.Chain([1.0], [0.0])
    net.params[1] = math.inf
    with pytest.raises(cbp.ModelFileError, match="b1 = inf"):
        cbp.export_c(net)


def test_the_command_writes_the_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = cbp.Chain([1.5, -0.8], [0.1, 0.3])
    net.save(tmp_path / "model.json")
    target = tmp_path / "sensor.h"
    assert main(["export", str(tmp_path / "model.json"), "--c", str(target)]) == 0
    assert target.read_text() == cbp.export_c(net, "sensor")
    assert main(["export", str(tmp_path / "model.json"), "--c", str(target), "--name", "a"]) == 0
    assert target.read_text() == cbp.export_c(net, "a")
    assert main(["export", str(tmp_path / "model.json"), "--c", str(tmp_path / "1st.h")]) == 2
    assert "'1st'" in capsys.readouterr().err
    assert not (tmp_path / "1st.h").exists()

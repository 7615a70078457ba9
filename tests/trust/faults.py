"""Faults: no memory, a full disk, a kill, Ctrl-C, a fork, a shutdown, at moments chosen by chance.

    python tests/trust/faults.py [short|long]

Each fault must end in an exception or in the old state, never in a crash, a half-written file or a
changed chain.
"""

from __future__ import annotations

import _testcapi
import contextlib
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

import cbackprop as cbp
from cbackprop.cli import main as command
from cbackprop.model_file import from_dict, to_dict

LONG = sys.argv[1:] == ["long"]
SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
RANDOM = random.Random(SEED)
X = np.linspace(-2, 2, 200)
Y = 2 * np.tanh(1.5 * X - 0.25) + 0.5
START = cbp.Chain([1.0, 1.0], [0.1, 0.2], ["tanh", "identity"])


def of_all(chain: cbp.Chain) -> bytes:
    return chain.params.tobytes() + repr((chain.activations, chain.frozen)).encode()


# ---- no memory -----------------------------------------------------------------------------------

COLUMN = X[::2]  # not contiguous, so that it is copied
ARRAY = cbp.ChainArray(np.tile(START.params, (5, 1)), START.activations)
TILED = np.tile(Y, (5, 1))
OUT = np.full(4, 7.0)
CALLS: dict[str, Callable[[], object]] = {
    "Chain": lambda: cbp.Chain([1.0, 2.0], [0.0, 1.0], "tanh", frozen=("w1",)),
    "forward": lambda: START(X),
    "forward copied": lambda: START(COLUMN),
    "number": lambda: START(0.5),
    "slope": lambda: START.slope(X),
    "inverse": lambda: START.inverse(Y),
    "loss": lambda: START.loss(X, Y, loss="huber"),
    "gradient": lambda: START.gradient(X, Y),
    "gradient out": lambda: START.gradient(X, Y, out=OUT),
    "gradients": lambda: START.gradients(X, Y),
    "jacobian": lambda: START.jacobian(X),
    "hessian": lambda: START.hessian(X, Y),
    "trace": lambda: START.trace(0.5, 1.0),
    "copy": START.copy,
    "to_dict": lambda: from_dict(to_dict(START)),
    "repr": lambda: repr(START),
    "fit lm": lambda: cbp.fit(START, X, Y),
    "fit sgd": lambda: cbp.fit(START, X, Y, method="sgd", max_iterations=2, rng=1),
    "fit_many": lambda: cbp.fit_many(START, X, TILED, threads=1),
    "array": lambda: ARRAY(X),
    "array gradient": lambda: ARRAY.gradient(X, TILED),
    "curve": lambda: cbp.curves.exponential.fit(X, np.exp(X)),
}


def no_memory() -> str:
    """The n-th allocation fails, for each n (in short form for every fifth) until none is left."""
    failed, step = 0, 1 if LONG else 5
    for name, call in CALLS.items():
        call()
        before, n, quiet = of_all(START), 0, 0
        while quiet < 30 and n < 5000:
            n += step
            OUT[:] = 7.0
            seen: Exception | None = None
            _testcapi.set_nomemory(n, n + 1)
            try:
                call()
            except Exception as error:
                seen = error
            finally:
                _testcapi.remove_mem_hooks()
            assert seen is None or is_of_memory(seen), (name, n, repr(seen))
            assert seen is None or np.all(OUT == 7.0), (name, n)
            assert of_all(START) == before, (name, n)
            quiet = quiet + 1 if seen is None else 0
            failed += seen is not None
        tracemalloc.start()
        left = leftover(call)
        tracemalloc.stop()
        assert left < 4096, f"{name}: {left} bytes stay behind"
    return f"{failed} failed allocations in {len(CALLS)} calls"


def is_of_memory(error: Exception) -> bool:
    """MemoryError, or what NumPy and CPython's locks themselves make of it."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, SystemError) and "without" in str(error))
        or (isinstance(error, RuntimeError) and "allocate lock" in str(error))
    )


def leftover(call: Callable[[], object]) -> int:
    """How much memory 20 failed calls leave behind."""

    def fail() -> None:
        for n in (3, 11, 23, 39):  # at 40 CPython 3.11 itself loses the arguments of a call
            try:
                _testcapi.set_nomemory(n, n + 1)
                call()
            except BaseException:
                _testcapi.remove_mem_hooks()
            _testcapi.remove_mem_hooks()

    for _ in range(2):
        fail()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        fail()
    return tracemalloc.get_traced_memory()[0] - before


# ---- files ---------------------------------------------------------------------------------------


def full_disk() -> str:
    """A file that may not grow beyond some bytes: the old one stays whole, nothing is left over."""
    old, new = cbp.Chain([1.0], [2.0]), cbp.Chain.random(300, rng=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        old.save(path)
        content, cases = path.read_bytes(), 0
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for size in range(0, 12_000, 100 if LONG else 1500):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            try:
                new.save(path)
                raise AssertionError("saved where there is no room")
            except OSError:
                cases += 1
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert path.read_bytes() == content
            assert os.listdir(folder) == ["model.json"]
        signal.signal(signal.SIGXFSZ, ignored)
    command = [sys.executable, "-m", "cbackprop", "info"]
    with open("/dev/full", "wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert run.returncode == 2, run
    assert run.stderr.count(b"\n") == 1, run.stderr
    return f"{cases} sizes, and a full standard output"


SAVING = """
import sys
import cbackprop as cbp
chains = [cbp.Chain.random(400, rng=k) for k in (0, 1)]
print("ready", flush=True)
while True:
    for chain in chains:
        chain.save(sys.argv[1])
"""


def killed() -> str:
    """A process that saves all the time is killed: what is there is one chain or the other."""
    times = 100 if LONG else 5
    whole = [cbp.Chain.random(400, rng=k) for k in (0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        whole[0].save(path)
        for _ in range(times):
            process = subprocess.Popen(
                [sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(RANDOM.random() * 0.05)
            process.kill()
            process.wait()
            process.stdout.close()
            assert cbp.load(path) in whole
    return f"{times} kills"


OUTPUT = """
import sys
from cbackprop.cli import main
table, folder = sys.argv[1:]
told, sys.stdout = sys.stdout, open("/dev/null", "w")
while True:
    for curve in ("linear", "michaelis_menten"):
        model = f"{folder}/model.json"
        main(["fit", table, "--curve", curve, "--out", model, "--plot", f"{folder}/picture.png"])
        main(["export", model, "--c", f"{folder}/model.h"])
    told.write("x")
    told.flush()
"""
ENDS = {
    "model.json": b"]\n}\n",
    "picture.png": b"IEND\xaeB`\x82",
    "model.h": b"#endif /* CBP_EXPORTED_model */\n",
}


def write_table(folder: str) -> str:
    path = Path(folder, "table.csv")
    path.write_text("x,y\n1,1.1\n2,1.4\n4,1.7\n8,1.8\n16,1.9\n", encoding="utf-8")
    return str(path)


def files_of(folder: str) -> dict[str, bytes]:
    """Read all that is there, but for what a killed process could not take away."""
    paths = [path for path in Path(folder).iterdir() if path.suffix != ".tmp"]
    return {path.name: path.read_bytes() for path in paths}


def command_full_disk() -> str:
    """No room for what the command writes: one line of error, the old files whole, none left."""
    cases, sizes = 0, range(0, 1400, 100 if LONG else 700)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        table, model = write_table(other), f"{folder}/model.json"
        verbs = [
            ["fit", table, "--curve", "linear", "--out", model],
            ["fit", table, "--curve", "linear", "--plot", f"{folder}/picture.png"],
            ["export", f"{other}/model.json", "--c", f"{folder}/model.h"],
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            assert command(["fit", table, "--curve", "linear", "--out", f"{other}/model.json"]) == 0
            assert [command(verb) for verb in verbs] == [0, 0, 0]
        before = files_of(folder)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for verb in verbs:
            for size in sizes:
                if size >= len(before[Path(verb[-1]).name]):
                    continue
                err = io.StringIO()
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
                try:
                    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
                        code = command(verb)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
                assert (code, err.getvalue().count("\n")) == (2, 1), (verb, err.getvalue())
                assert files_of(folder) == before, verb
                assert sorted(os.listdir(folder)) == sorted(before), verb
                cases += 1
        signal.signal(signal.SIGXFSZ, ignored)
        # rows of groups go to the standard output
        groups = Path(other, "groups.csv")
        groups.write_text("run,x,y\n1,1,1\n1,2,3\n1,4,4\n", encoding="utf-8")
        with open("/dev/full", "wb") as full:
            words = [sys.executable, "-m", "cbackprop", "fit", str(groups), "--curve", "linear"]
            words += ["--group", "run"]
            run = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False)
        assert run.returncode == 2, run
        assert run.stderr.count(b"\n") == 2, run.stderr  # the columns, and the error
    return f"{cases} sizes of three files"


def command_killed() -> str:
    """The command is killed while it writes: what is there is whole, of one fit or the other."""
    times = 100 if LONG else 4
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        table = write_table(other)
        for _ in range(times):
            process = subprocess.Popen(
                [sys.executable, "-c", OUTPUT, table, folder], stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            process.stdout.read(1)
            time.sleep(RANDOM.random() * 0.5)
            process.kill()
            process.wait()
            process.stdout.close()
            for name, content in files_of(folder).items():
                assert content.endswith(ENDS[name]), (name, content[-20:])
                assert name != "model.json" or cbp.load(Path(folder, name)).layers in (1, 3)
    return f"{times} kills"


# ---- Ctrl-C, threads, forks, the end -------------------------------------------------------------


def interrupted() -> str:
    """Ctrl-C at any moment of a loop of calls: it comes through, and no chain has changed."""
    times = 1000 if LONG else 30
    signal.signal(signal.SIGINT, signal.default_int_handler)
    x = np.linspace(-1, 1, 200_000)
    net, before = START.copy(), of_all(START)
    calls: list[Callable[[], object]] = [
        lambda: net(x),
        lambda: net.gradient(x, x),
        lambda: net.gradients(x, x),
        lambda: cbp.fit(net, x[:20_000], x[:20_000]),
        lambda: cbp.fit(net, x[:2000], x[:2000], method="sgd"),
        lambda: cbp.fit_many(net, X, np.tile(Y, (400, 1)), threads=2),
        lambda: cbp.curves.logistic4_linear.fit(X, Y),
    ]
    for _ in range(times):
        call = RANDOM.choice(calls)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        heard = False
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-4 + RANDOM.random() * 0.03)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                call()
        except KeyboardInterrupt:
            heard = True
        assert heard
        assert of_all(net) == before
    assert np.array_equal(net(X), START(X))
    return f"{times} interrupts"


def read_together() -> str:
    """Eight threads read one chain while another steps a different one: the bits of one thread."""
    expected = [START(X).tobytes(), START.gradient(X, Y).tobytes(), START.inverse(Y).tobytes()]
    fitted = cbp.fit(START, X, Y).params.tobytes()
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = [START(X).tobytes(), START.gradient(X, Y).tobytes(), START.inverse(Y).tobytes()]
            if found != expected or cbp.fit(START, X, Y).params.tobytes() != fitted:
                wrong.append(found)

    def step() -> None:
        other = START.copy()
        while not stop.is_set():
            other.step(X, Y, 0.01)

    threads = [threading.Thread(target=read) for _ in range(8)] + [threading.Thread(target=step)]
    for thread in threads:
        thread.start()
    time.sleep(20 if LONG else 1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    return "9 threads"


def forked() -> str:
    """A child made after use, also after use of threads, computes as its parent does."""
    targets = np.tile(Y, (40, 1))
    expected = cbp.fit_many(START, X, targets, threads=2).params.tobytes()
    for _ in range(50 if LONG else 3):
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                found = cbp.fit_many(START, X, targets, threads=2).params.tobytes()
                code = 0 if found == expected else 2
            os._exit(code)
        deadline = time.monotonic() + 60
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < deadline, "the child hangs"
            time.sleep(0.005)
        assert ended[1] == 0, ended
    return "forks"


SHUTDOWN = """
import sys, threading, time
import numpy as np
import cbackprop as cbp
x = np.linspace(-1, 1, 300_000)
net = cbp.Chain.random(6, "tanh", rng=0)
def fit():
    cbp.fit(net, x, -x, method="sgd", max_iterations=10**9)
threading.Thread(target=fit, daemon=True).start()
time.sleep(float(sys.argv[1]))
"""


def shut_down() -> str:
    """The interpreter ends in the middle of a fit of a daemon thread: quietly."""
    times = 50 if LONG else 3
    for _ in range(times):
        run = subprocess.run(
            [sys.executable, "-c", SHUTDOWN, str(RANDOM.random() * 0.3)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (run.returncode, run.stderr) == (0, b""), run
    return f"{times} shutdowns"


# ---- arrays that are not what one expects --------------------------------------------------------


def strange_arrays() -> str:
    """Any layout of inputs gives the same bits; any `out` but a plain one is refused unharmed."""
    plain, expected = np.ascontiguousarray(X), START(X).tobytes()
    layouts = [
        plain.astype(">f8"),
        np.repeat(plain, 2)[::2],
        plain[::-1][::-1],
        np.frombuffer(b"." + plain.tobytes(), offset=1),
        np.frombuffer(plain.tobytes()),
        np.asfortranarray(np.stack([plain, plain]))[1],
    ]
    for layout in layouts:
        assert START(layout).tobytes() == expected
        assert START.gradient(layout, Y).tobytes() == START.gradient(X, Y).tobytes()
    same = np.broadcast_to(np.float64(0.5), (200,))
    assert np.all(START(same) == START(0.5))
    memory = np.full(16, 7.0)
    read_only = np.full(4, 7.0)
    read_only.flags.writeable = False
    refused = [
        read_only,
        memory[::4],
        memory[:4].astype(">f8"),
        np.lib.stride_tricks.as_strided(memory, (4,), (0,)),
        np.lib.stride_tricks.as_strided(memory, (4,), (4,)),
        memory.view(np.uint8)[1:33].view(np.float64),
        memory[:5],
    ]
    for out in refused:
        before = out.tobytes()
        try:
            START.gradient(X, Y, out=out)
        except (ValueError, TypeError, BufferError):
            assert out.tobytes() == before
        else:
            raise AssertionError(f"out {out!r} was taken")
    # what overlaps its inputs is as good as a copy
    shared = np.concatenate([X, Y])
    gradient = START.gradient(X, Y)
    START.gradient(shared[:200], shared[200:], out=shared[198:202])
    assert np.array_equal(shared[198:202], gradient)
    return f"{len(layouts)} layouts, {len(refused)} refused"


def main() -> None:
    """Run all, or those that are named."""
    print(f"seed {SEED}")
    for fault in (
        no_memory,
        full_disk,
        killed,
        command_full_disk,
        command_killed,
        interrupted,
        read_together,
        forked,
        shut_down,
        strange_arrays,
    ):
        start = time.perf_counter()
        print(f"{fault.__name__:17}", end=" ", flush=True)
        said = fault()
        print(f"{said} ({time.perf_counter() - start:.1f} s)")


if __name__ == "__main__":
    main()

"""Random mixed work for a long time: memory stays flat, and the same call gives the same bits.

python tests/trust/soak.py [MINUTES] [SEED]
"""

from __future__ import annotations

import gc
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import cbackprop as cbp


def resident() -> int:
    """Memory of this process, in KiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def work(seed: int, folder: Path) -> bytes:
    """One piece of work, all of it drawn from the seed, and a digest of what it gave."""
    rng = np.random.default_rng(seed)
    layers, n = int(rng.integers(1, 6)), int(rng.integers(1, 400))
    names = rng.choice(["sigmoid", "tanh", "softplus", "identity", "silu", "arctan"], layers)
    net = cbp.Chain.random(layers, list(names), rng=rng)
    x, y = rng.uniform(-2, 2, n), rng.uniform(0, 1, n)
    path = folder / "model.json"

    def saved() -> np.ndarray:
        net.save(path)
        return cbp.load(path).params

    def refused() -> np.ndarray:
        try:
            net.gradient(x, y[:-1])
        except cbp.ShapeError as error:
            return np.array([len(str(error))])
        return np.zeros(1)

    def many() -> np.ndarray:
        targets = np.stack([y[:20], 1 - y[:20], y[:20] ** 2])
        return cbp.fit_many(net, x[:20], targets, max_iterations=30).params

    calls: list[Callable[[], object]] = [
        lambda: net(x),
        lambda: net(float(x[0])),
        lambda: net.gradient(x, y, loss="huber"),
        lambda: net.gradients(x, y),
        lambda: net.jacobian(x),
        lambda: net.hessian(x[:30], y[:30]),
        lambda: net.slope(x),
        lambda: net.trace(0.5, 1.0).gradient,
        lambda: net.copy().step(x, y, 0.01),
        lambda: (
            cbp.fit(net, np.tile(x, 3), np.tile(y, 3), max_iterations=20).params
            if n > layers
            else 0.0
        ),
        lambda: cbp.fit(net, x, y, method="adam", max_iterations=5, batch_size=7, rng=1).params,
        lambda: cbp.curves.exponential.fit(np.arange(9.0), np.exp(-np.arange(9.0) / 3)).rss,
        saved,
        refused,
        many if n >= 20 and layers < 4 else refused,
    ]
    found = random.Random(seed).choice(calls)()
    return hashlib.sha256(np.asarray(found, dtype=np.float64).tobytes()).digest()


def main() -> None:
    """Work, look back at times, and watch the memory."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    print(f"seed {seed}", flush=True)
    pieces = 400
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = [work(seed + k, folder) for k in range(pieces)]
        for k in range(pieces):  # all caches are warm after this
            assert work(seed + k, folder) == first[k], seed + k
        gc.collect()
        start, end, done = resident(), time.monotonic() + 60 * minutes, 2 * pieces
        rng, largest = random.Random(seed), 0
        while time.monotonic() < end:
            k = rng.randrange(pieces)
            assert work(seed + k, folder) == first[k], f"other bits than at first: {seed + k}"
            done += 1
            if done % 500 == 0:
                largest = max(largest, resident() - start)
        gc.collect()
        grown = resident() - start
    print(f"{done} pieces of work; memory grew by {grown} KiB, at most {largest} KiB")
    assert grown < 4096, "memory grows"


if __name__ == "__main__":
    main()

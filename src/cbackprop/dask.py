"""Gradients and fits on the workers of a Dask cluster.

The examples are in shards. A function of yours, called with a shard's key, loads the shard on the
worker that uses it; only keys and sums are sent. Sums are added in the order of the keys, so that
results depend neither on the number of workers nor on failures: Dask repeats the work of a worker
that failed.
"""

from __future__ import annotations

import io
import json
import math
import os
import reprlib
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import Chain
from .errors import InputTypeError, ModelFileError, ParameterError, ShapeError
from .fits.arguments import Bounds, Count, Number, bound_arrays, check_callback, count_of, number_of
from .fits.many import FitManyResult, Job
from .fits.many import fit_many as fit_chunk
from .fits.one import fit_over, is_exact
from .fits.result import FitProgress, FitResult
from .fits.shards import ShardedPass
from .model_file import write_whole

if TYPE_CHECKING:
    from ._core import _Loss, _Number, _Seed

__all__ = ["fit", "fit_many", "gradient"]

Key = TypeVar("Key")
Load: TypeAlias = Callable[[Key], tuple[ArrayLike, ...]]
_SAVED: Final = (
    "params",
    "loss",
    "rss",
    "residual_sd",
    "df",
    "stderr",
    "identified",
    "status",
    "converged",
    "n_iterations",
)
Client: TypeAlias = Any  # distributed.Client; types are checked without Dask too


def gradient(
    net: Chain,
    load: Load[Key],
    keys: Iterable[Key],
    *,
    client: Client | None = None,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
) -> tuple[float, NDArray[np.float64]]:
    """Average the loss and its gradient over all shards, as `Chain.loss_and_gradient` does.

    Parameters
    ----------
    net : Chain
    load : callable
        Called by the workers with a key; returns the shard's (x, y) or (x, y, sample_weight).
        A shard may be empty: it adds nothing.
    keys : iterable
        A key for each shard, in the order of summation: small objects that can be pickled.
    client : distributed.Client, optional
        By default the current client.
    loss, loss_scale
        As for `Chain.loss`.

    Returns
    -------
    tuple of float and ndarray
        The loss, and the gradient of shape (2L,).

    Raises
    ------
    ParameterError
        If there is no key or client, and as for `Chain.loss`, with a note that names the shard.
        Exceptions of `load` are raised too.
    ShapeError
        If no shard has an example of positive weight, and as for `Chain.loss`.
    ActivationError, InputTypeError
        As for `Chain.loss`.
    ImportError
        If Dask is missing.
    """
    task = partial(_core.gradient_sums, net, loss=loss, loss_scale=loss_scale)
    total = _core.merge_sums(_run(client, task, load, _list_of(keys)))
    if total[0, 0] == 0.0:
        raise ShapeError("load: no example of positive weight in any shard; expected one or more")
    mean = _core.mean_of_sums(total)
    return float(mean[0]), mean[1:]


def fit(
    net: Chain,
    load: Load[Key],
    keys: Iterable[Key],
    *,
    client: Client | None = None,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
    bounds: Bounds | None = None,
    max_iterations: Count | None = None,
    tolerance: Number | None = None,
    restarts: Count = 0,
    rng: _Seed = None,
    covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
    callback: Callable[[FitProgress], object] | None = None,
) -> FitResult:
    """Fit one chain to the examples of all shards, by Levenberg-Marquardt.

    The result equals that of `cbackprop.fit` on all examples in the order of the keys, bit for bit.
    With ``covariance="hessian"`` its covariance and standard errors are those of `cbackprop.fit` to
    rounding error: second derivatives are added up shard by shard, in the order of the keys.
    Every shard is loaded twice at first, and then once for each pass; it must have the same
    examples each time. Examples are processed in groups of 4096. Where a group crosses the border
    of two shards, its examples are sent to the caller, which processes them.

    Parameters
    ----------
    net : Chain
        The start, which is not changed. Its frozen parameters are not fitted.
    load, keys, client
        As for `gradient`.
    loss, loss_scale, bounds, max_iterations, tolerance, restarts, rng, covariance, callback
        As for `cbackprop.fit`.

    Returns
    -------
    FitResult

    Raises
    ------
    ShapeError, ParameterError, ActivationError, InputTypeError
        As for `cbackprop.fit`, with a note that names the shard, and as for `gradient`.
    ImportError
        If Dask is missing.
    """
    shards = _list_of(keys)
    check_callback(callback)
    _core.code_of_loss(loss, loss_scale)  # raises if one is invalid
    scale = float(loss_scale)
    limits = (None, None) if bounds is None else bound_arrays(net, bounds)
    iterations = count_of("max_iterations", max_iterations, 2000)
    tolerance = number_of("tolerance", 1e-10 if tolerance is None else tolerance, 0.0, math.inf)
    restarts = count_of("restarts", restarts, 0, least=0)
    exact = is_exact(covariance)

    def ask(task: Callable[..., Any], which: list[int], *more: list[int]) -> list[Any]:
        return _run(client, task, load, [shards[i] for i in which], *more)

    run_pass = ShardedPass(ask, len(shards), net, loss=loss, loss_scale=scale)
    return fit_over(
        net,
        run_pass,
        loss=loss,
        loss_scale=scale,
        limits=limits,
        max_iterations=iterations,
        tolerance=tolerance,
        restarts=restarts,
        rng=rng,
        callback=callback,
        exact=exact,
    )


def fit_many(
    net: Chain,
    load: Load[Key],
    keys: Iterable[Key],
    directory: str | os.PathLike[str],
    *,
    client: Client | None = None,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
    bounds: Bounds | None = None,
    max_iterations: Count | None = None,
    tolerance: Number | None = None,
    covariance: bool = False,
) -> list[Path]:
    """Fit many chains, chunk by chunk; each chunk's result is written to a file of its own.

    A chunk with a complete file is not fitted again: after an interruption, repeat the call with
    the same arguments. Each chunk is fitted on one thread.

    Parameters
    ----------
    net : Chain
        Activations, frozen parameters and start of all chains.
    load, keys
        As for `gradient`; a chunk has x of shape (n,) or (m, n) and y of shape (m, n), as for
        `cbackprop.fit_many`; m may be 0. The keys, as text, name the files.
    directory : str or path-like
        Folder of the results, on a file system that the workers share; created if it is missing.
        Its ``job.json`` records the chain and the options.
    client
        As for `gradient`.
    loss, loss_scale, bounds, max_iterations, tolerance, covariance
        As for `cbackprop.fit_many`.

    Returns
    -------
    list of Path
        The file of each key, for `numpy.load`: params, loss, rss, residual_sd, df, stderr,
        identified, status, converged, n_iterations and, if requested, covariance, as in
        `FitManyResult`.

    Raises
    ------
    ParameterError
        If two keys are the same as text, a parameter of net is not finite, the directory cannot be
        created or read, or it contains results of other or unknown chains or options; and as for
        `gradient`.
    ShapeError, ActivationError, InputTypeError
        As for `cbackprop.fit_many`, with a note that names the shard. All other chunks have then
        been fitted, and their files written.
    OSError
        If a file cannot be written.
    ImportError
        If Dask is missing.
    """
    try:
        folder = Path(directory).absolute()
    except TypeError:
        raise InputTypeError(f"directory: expected a path, got {directory!r}") from None
    shards = _list_of(keys)
    paths = [folder / f"{quote(str(key), safe='')}.npz" for key in shards]
    if len(set(paths)) < len(paths):
        raise ParameterError("keys: two are the same as text; expected a name for each chunk")
    nothing = [0.0], np.empty((0, 1))
    job = Job.of(net, *nothing, None, loss, loss_scale, bounds, max_iterations, tolerance)
    options: dict[str, Any] = {
        "loss": job.loss,
        "loss_scale": float(loss_scale),
        "bounds": _finite_ends(job) or None,
        "max_iterations": job.max_iterations,
        "tolerance": job.tolerance,
        "covariance": bool(covariance),
    }
    empty = _arrays_of(fit_chunk(net, *nothing, **options))  # raises for a wrong option
    try:
        record = {"chain": net.to_dict(), **options}
    except ModelFileError as error:
        raise ParameterError(f"net: {error}") from None
    client = _client_of(client)
    _claim(folder, record, paths)
    missing = [k for k, path in enumerate(paths) if not _is_complete(path, empty)]
    task = partial(_fit_chunk, net, options)
    _run(client, task, load, [shards[k] for k in missing], [paths[k] for k in missing])
    return paths


def _finite_ends(job: Job) -> dict[str, list[float | None]]:
    """Normalise bounds: only parameters that have a bound, None for an end without one."""
    if job.lower is None or job.upper is None:
        return {}
    ends = zip(job.net.param_names, job.lower.tolist(), job.upper.tolist(), strict=True)
    return {
        name: [None if low == -math.inf else low, None if high == math.inf else high]
        for name, low, high in ends
        if (low, high) != (-math.inf, math.inf)
    }


# ---- the directory of results --------------------------------------------------------------------

# Numbers in one form, however they were written: 1 equals 1.0, and NaN equals NaN.
_read_json: Final = partial(json.loads, parse_int=float, parse_constant=str)


def _claim(folder: Path, record: dict[str, Any], paths: list[Path]) -> None:
    """Record the job in a new directory, or check that a used one belongs to this job."""
    path, text = folder / "job.json", json.dumps(record)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"directory: {folder} cannot be made: {error}; expected a path for a directory"
        ) from None
    try:
        found = _read_json(path.read_bytes())
    except FileNotFoundError:
        for result in paths:
            if os.path.lexists(result):
                raise ParameterError(
                    f"directory: {result} exists, but no job.json that says which chains and "
                    "options were fitted; expected a new directory"
                ) from None
        write_whole(path, text.encode())
        return
    except (OSError, ValueError, RecursionError) as error:
        raise ParameterError(
            f"directory: {path} cannot be read as JSON: {error}; delete it and the results beside "
            "it, or give a new directory"
        ) from None
    expected = _read_json(text)
    if not isinstance(found, dict) or found.keys() != expected.keys():
        raise ParameterError(
            f"directory: {path} is not what fit_many writes; delete it and the results beside it, "
            "or give a new directory"
        )
    other = [name for name in expected if found[name] != expected[name]]
    if other:
        raise ParameterError(
            f"directory: {path} is of other chains or options ({', '.join(other)}); expected "
            "the same ones, or a new directory"
        )


def _is_complete(path: Path, empty: dict[str, Any]) -> bool:
    """Whether a file has all results, with a row for each chain; `empty` has those of no chains."""
    try:
        with path.open("rb") as file, np.load(file) as content:
            found = dict(content)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ParameterError(
            f"directory: {path} cannot be read: {error}; expected a file of results, or none"
        ) from None
    except Exception:  # an incomplete or foreign file can raise many kinds
        return False
    rows = found["params"].shape[:1] if "params" in found else ()
    return found.keys() == empty.keys() and all(
        found[name].dtype.kind == array.dtype.kind
        and found[name].shape == (*rows, *array.shape[1:])
        for name, array in empty.items()
    )


# ---- what the workers do -------------------------------------------------------------------------


def _fit_chunk(
    net: Chain,
    options: dict[str, Any],
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    path: Path,
) -> None:
    found = fit_chunk(net, x, y, sample_weight=sample_weight, threads=1, **options)
    content = io.BytesIO()
    np.savez(content, **_arrays_of(found))
    write_whole(path, content.getvalue())


def _arrays_of(found: FitManyResult) -> dict[str, Any]:
    """Return the arrays of a file by name."""
    arrays = {name: getattr(found, name) for name in _SAVED}
    return arrays if found.covariance is None else {**arrays, "covariance": found.covariance}


def _on_shard(task: Callable[..., Any], load: Load[Key], key: Key, *more: Any) -> Any:
    try:
        loaded = load(key)
        if not isinstance(loaded, tuple) or len(loaded) not in (2, 3):
            raise InputTypeError(
                f"load: expected (x, y) or (x, y, sample_weight), got {reprlib.repr(loaded)}"
            )
        x, y, *weights = loaded
        return task(x, y, weights[0] if weights else None, *more)
    except Exception as error:
        error.add_note(f"in the shard {key!r}")
        raise


# ---- Dask ----------------------------------------------------------------------------------------


def _run(
    client: Client | None,
    task: Callable[..., Any],
    load: Load[Key],
    keys: list[Key],
    *more: list[Any],
) -> list[Any]:
    """Run a task on every shard; return the results in the order of the keys, once all are done."""
    client = _client_of(client)
    # not pure: Dask must not reuse old results, since `load` may return other data the next time
    futures = client.map(partial(_on_shard, task, load), keys, *more, pure=False)
    with client.as_current():
        import_module("distributed").wait(futures)
    return list(client.gather(futures))


def _client_of(client: Client | None) -> Client:
    """Return the client given, or the current one."""
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise ImportError("cbackprop.dask needs Dask: pip install 'cbackprop[dask]'") from error
    if client is not None:
        return client
    try:
        return distributed.get_client()
    except ValueError:
        raise ParameterError(
            "client: none given, and there is no current one; expected a distributed.Client"
        ) from None


def _list_of(keys: Iterable[Key]) -> list[Key]:
    listed = list(keys)
    if not listed:
        raise ParameterError("keys: there are none; expected one for each shard")
    return listed

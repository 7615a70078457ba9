"""Chains as JSON files: checked strictly when read, written completely or not at all.

A file of one chain is::

    {
    "format": "cbackprop-chain",
    "version": 1,
    "activations": ["log", "sigmoid"],
    "params": [1.0, 0.0, 2.5, -1.0],
    "frozen": ["w1", "b1"]
    }

``params`` is ``[w1, b1, ..., wL, bL]``, each number with up to 17 digits, so that reading gives the
same double. Nothing in a file is ever evaluated, and a file of any other form is refused.
"""

from __future__ import annotations

import errno
import json
import math
import os
import reprlib
import secrets
import shutil
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NoReturn, TextIO, TypeAlias

from ._core import Chain
from .errors import CBackpropError, ModelFileError, ParameterError

__all__ = ["check_outputs", "from_dict", "load", "save", "to_dict", "write_whole"]

Path: TypeAlias = str | os.PathLike[str]

FORMAT: Final = "cbackprop-chain"
VERSION: Final = 1
KEYS: Final = ("format", "version", "activations", "params", "frozen")
_KEYS: Final = ", ".join(map(repr, KEYS))
# The longest chain allowed fits into the largest file allowed, even with all parameters frozen.
MOST_BYTES: Final = 2**20
MOST_LAYERS: Final = 10_000


def to_dict(chain: Chain) -> dict[str, object]:
    """Convert a chain to lists, numbers and strings.

    Parameters
    ----------
    chain : Chain

    Returns
    -------
    dict
        The mapping of a model file; `from_dict` makes an equal chain from it.

    Raises
    ------
    ModelFileError
        If a parameter is not finite, or the chain has more than 10 000 layers.
    """
    _check_layers(chain.layers)
    params = [float(number) for number in chain.params]
    for k, number in enumerate(params):
        if not math.isfinite(number):
            name = f"{'wb'[k % 2]}{k // 2 + 1}"
            raise ModelFileError(f"the chain has {name} = {number}; expected finite parameters")
    return {
        "format": FORMAT,
        "version": VERSION,
        "activations": list(chain.activations),
        "params": params,
        "frozen": list(chain.frozen),
    }


def from_dict(mapping: Mapping[str, object]) -> Chain:
    """Build a chain from the mapping made by `to_dict`.

    Parameters
    ----------
    mapping : mapping
        With exactly the keys "format", "version", "activations", "params" and "frozen".

    Returns
    -------
    Chain

    Raises
    ------
    ModelFileError
        If anything in the mapping is not what `to_dict` writes.
    """
    if not isinstance(mapping, Mapping):
        raise ModelFileError(
            f"the model is a {type(mapping).__name__}; expected an object with {_KEYS}"
        )
    _check_header(mapping)
    activations = _strings(mapping, "activations")
    frozen = _strings(mapping, "frozen")
    _check_layers(len(activations))
    params = _numbers(mapping, "params")
    if len(params) != 2 * len(activations):
        raise ModelFileError(
            f"'params' has {len(params)} numbers and 'activations' {len(activations)} names; "
            f"expected {2 * len(activations)} numbers, a weight and a bias for each layer"
        )
    try:
        return Chain(params[::2], params[1::2], activations, frozen=tuple(frozen))
    except CBackpropError as error:
        raise ModelFileError(str(error)) from error


def load(path: Path) -> Chain:
    """Read a chain from a model file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Chain

    Raises
    ------
    ModelFileError
        If the file is not a model file of this package; the message names the file.
    OSError
        If the file cannot be read at all.
    """
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        if len(data) > MOST_BYTES:
            raise ModelFileError(f"longer than {MOST_BYTES} bytes, the most a model file may have")
        return from_dict(_parse(data))
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from error.__cause__


def save(chain: Chain, path: Path) -> None:
    """Write a chain to a model file, completely or not at all.

    The text is written to a new file in the same folder, which then replaces the old one, so that
    neither a reader nor a power failure ever meets an incomplete model. A new file has the default
    permissions; the replacement of an old one keeps its permissions, owner and group. Of a symbolic
    link the target is replaced.

    Parameters
    ----------
    chain : Chain
    path : str or path-like

    Raises
    ------
    ModelFileError
        If a parameter is not finite, the chain has more than 10 000 layers, or `path` is something
        other than a file. Nothing has been changed.
    OSError
        If the file cannot be written; the old file is unchanged. It is a PermissionError if the old
        file is not writable (for root: not writable by its owner), or if its owner and group cannot
        be kept. The old file is never overwritten in place, which could leave it incomplete.
    """
    try:
        lines = [f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in to_dict(chain).items()]
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: not saved: {error}") from None
    write_whole(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii"))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, completely or not at all; raises as `save`."""
    target = os.path.realpath(path)
    exists = os.path.exists(target)
    is_folder = os.path.basename(path) in ("", ".", "..")
    if is_folder or (exists and not os.path.isfile(target)):
        # a device or a folder must not be replaced by a file, and "name/" is not the file "name"
        raise ModelFileError(f"{os.fspath(path)}: not saved: expected an ordinary file")
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".cbackprop-{secrets.token_hex(8)}.tmp")
    try:
        if exists:
            _check_writable(target)
        unnamed = _unnamed_file(folder)
        # not tempfile, whose files only their owner can read: here the umask decides
        with open(temporary, "xb") if unnamed is None else open(unnamed, "wb") as file:
            place = temporary if unnamed is None else f"/proc/self/fd/{unnamed}"
            if exists:
                _keep_owner_and_mode(target, place)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if unnamed is not None:
                # Python follows the link in /proc only if a descriptor is given, whichever
                os.link(place, temporary, src_dir_fd=unnamed)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):  # the message has the caller's path, not the temporary one
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _unnamed_file(folder: str) -> int | None:
    """Open a file without a name, which a killed process does not leave; None if unsupported."""
    try:
        if os.path.isdir("/proc/self/fd"):
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except (AttributeError, OSError):
        pass
    return None


def _check_writable(path: str) -> None:
    """Refuse a file that this process, or for root the file's owner, may not write."""
    effective = os.access in os.supports_effective_ids
    writable = os.access(path, os.W_OK, effective_ids=effective)
    if not (writable and os.stat(path).st_mode & stat.S_IWUSR):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _keep_owner_and_mode(path: str, new: str) -> None:
    """Give a new file the owner, group and permissions of the file that it will replace."""
    old, own = os.stat(path), os.stat(new)
    if (old.st_uid, old.st_gid) != (own.st_uid, own.st_gid):
        try:
            os.chown(new, old.st_uid, old.st_gid)
        except OSError as error:
            reason = "replaced by this user its owner and group would change; expected a new file"
            raise PermissionError(error.errno, reason, path) from None
    shutil.copymode(path, new)


def check_outputs(inputs: Mapping[str, Path | None], outputs: Mapping[str, Path | None]) -> None:
    """Refuse an output that is the same file as an input or another output, also by a link.

    Standard output is a further output if it is a file. "-" means standard input; as an output it
    is refused.

    Parameters
    ----------
    inputs, outputs : mapping of str to path or None
        The keys are the names used in messages; None if not given. An input "-" is standard input.

    Raises
    ------
    ParameterError
        If two are the same file; the message names both. If an output is "-".
    """
    files: list[tuple[str, Path | int | None]] = [
        (name, _descriptor(sys.stdin) if path == "-" else path) for name, path in inputs.items()
    ]
    written: list[tuple[str, Path | int | None]] = [*outputs.items()]
    printed = _descriptor(sys.stdout)
    if printed is not None and stat.S_ISREG(os.fstat(printed).st_mode):
        written.append(("standard output", printed))
    for name, path in written:
        if path == "-":
            raise ParameterError(f"{name}: '-'; expected a file; one of that name is ./-")
        for other, used in files:
            if path is not None and used is not None and _are_one_file(used, path):
                shown = next((p for p in (path, used) if not isinstance(p, int)), "-")
                raise ParameterError(
                    f"{other} and {name} are the same file: {shown}; expected another file to write"
                )
        files.append((name, path))


def _descriptor(stream: TextIO | None) -> int | None:
    """Return the descriptor of a standard stream; None if it has none."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):  # the stream is in memory, or closed
        return None


def _are_one_file(first: Path | int, second: Path | int) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:  # one does not exist yet
        if isinstance(first, int) or isinstance(second, int):
            return False
    folder, name = os.path.split(os.path.realpath(first))
    other_folder, other_name = os.path.split(os.path.realpath(second))
    try:
        is_one_folder = os.path.samefile(folder, other_folder)
    except OSError:
        is_one_folder = folder == other_folder
    return is_one_folder and os.path.normcase(name) == os.path.normcase(other_name)


def _parse(data: bytes) -> Mapping[str, object]:
    """Parse JSON from arbitrary bytes."""
    try:
        model: Mapping[str, object] = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except ModelFileError:
        raise
    except UnicodeDecodeError as error:
        raise ModelFileError(f"byte {error.start} is not UTF-8; expected JSON text") from None
    except RecursionError:
        raise ModelFileError("lists nested too deeply; expected a model in JSON") from None
    except ValueError as error:  # invalid JSON, or an integer of thousands of digits
        raise ModelFileError(f"not JSON: {error}") from None
    return model


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON does not define which of two equal keys counts; programs could read different models
    entries: dict[str, object] = {}
    for key, entry in pairs:
        if key in entries:
            raise ModelFileError(f"the key {reprlib.repr(key)} occurs twice; expected it once")
        entries[key] = entry
    return entries


def _refuse_constant(name: str) -> NoReturn:
    raise ModelFileError(f"{name} is not a number in JSON; expected finite numbers")


def _check_header(mapping: Mapping[str, object]) -> None:
    """Check format and version before the other keys, which depend on them."""
    if mapping.get("format") != FORMAT:
        raise ModelFileError(f"'format' is {_found(mapping, 'format')}; expected {FORMAT!r}")
    version = mapping.get("version")
    if version != VERSION or type(version) is not int:
        raise ModelFileError(
            f"'version' is {_found(mapping, 'version')}; this release reads version {VERSION}"
        )
    for key in mapping:
        if key not in KEYS:
            raise ModelFileError(f"unknown key {reprlib.repr(key)}; expected {_KEYS}")


def _check_layers(count: int) -> None:
    if count == 0:
        raise ModelFileError("'activations' is empty; expected at least one layer")
    if count > MOST_LAYERS:
        raise ModelFileError(f"{count} layers; a model file holds at most {MOST_LAYERS}")


def _strings(mapping: Mapping[str, object], key: str) -> list[str]:
    strings: list[str] = []
    for k, entry in enumerate(_list(mapping, key)):
        if not isinstance(entry, str):
            raise ModelFileError(f"{key}[{k}] is {reprlib.repr(entry)}; expected a name")
        strings.append(entry)
    return strings


def _numbers(mapping: Mapping[str, object], key: str) -> list[float]:
    numbers: list[float] = []
    for k, entry in enumerate(_list(mapping, key)):
        # True is an int in Python, but not a number in JSON
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            raise ModelFileError(f"{key}[{k}] is {reprlib.repr(entry)}; expected a number")
        try:
            number = float(entry)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ModelFileError(f"{key}[{k}] is not finite as a double; expected a finite number")
        numbers.append(number)
    return numbers


def _list(mapping: Mapping[str, object], key: str) -> list[object]:
    entries = mapping.get(key)
    if not isinstance(entries, list):
        raise ModelFileError(f"{key!r} is {_found(mapping, key)}; expected a list")
    return entries


def _found(mapping: Mapping[str, object], key: str) -> str:
    return reprlib.repr(mapping[key]) if key in mapping else "missing"

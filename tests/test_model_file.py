"""Model files: what goes in comes out, and everything else is refused by name."""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import cbackprop as cbp
from cbackprop import model_file
from cbackprop.errors import ModelFileError


def a_chain() -> cbp.Chain:
    return cbp.Chain(
        [1.0, 0.1 + 0.2, -5e-324],
        [0.0, -1.7976931348623157e308, 1 / 3],
        ["log", "sigmoid", "identity"],
        frozen=("w1", "b3"),
    )


def a_model(**changes: Any) -> dict[str, Any]:
    return {**model_file.to_dict(a_chain()), **changes}


# ---- there and back ----------------------------------------------------------------------------


def test_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    net = a_chain()
    for path in (tmp_path / "a.json", str(tmp_path / "b.json")):
        model_file.save(net, path)
        back = model_file.load(path)
        assert back == net
        assert back.params.tobytes() == net.params.tobytes()
        assert back.activations == net.activations
        assert back.frozen == net.frozen


def test_methods_of_the_chain_and_the_package(tmp_path: Path) -> None:
    net = a_chain()
    net.save(tmp_path / "a.json")
    assert cbp.load(tmp_path / "a.json") == net
    assert cbp.Chain.from_dict(net.to_dict()) == net


def test_file_is_the_documented_json(tmp_path: Path) -> None:
    model_file.save(a_chain(), tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text(encoding="ascii")) == {
        "format": "cbackprop-chain",
        "version": 1,
        "activations": ["log", "sigmoid", "identity"],
        "params": [1.0, 0.0, 0.30000000000000004, -1.7976931348623157e308, -5e-324, 1 / 3],
        "frozen": ["w1", "b3"],
    }


def test_largest_chain_fits(tmp_path: Path) -> None:
    most = model_file.MOST_LAYERS
    weights = [-1.2345678901234567e-300] * most
    names = [f"{kind}{layer}" for layer in range(1, most + 1) for kind in "wb"]
    net = cbp.Chain(weights, weights, "log_sigmoid", frozen=tuple(names))
    model_file.save(net, tmp_path / "a.json")
    assert model_file.load(tmp_path / "a.json") == net


# ---- what is not a model -----------------------------------------------------------------------

TEXT = json.dumps(
    {
        "format": "cbackprop-chain",
        "version": 1,
        "activations": ["tanh"],
        "params": [1.0, 2.0],
        "frozen": [],
    }
)


NO_MODELS = [
    ("", "not JSON"),
    (TEXT[:-1], "not JSON"),
    (TEXT[:40], "not JSON"),
    (TEXT + "x", "not JSON"),
    ("[]", "model is a list"),
    ("7", "model is a int"),
    ("null", "model is a NoneType"),
    (TEXT.replace("2.0", "NaN"), "NaN is not a number in JSON"),
    (TEXT.replace("2.0", "-Infinity"), "-Infinity is not a number in JSON"),
    (TEXT.replace("2.0", "1e999"), r"params\[1\] is not finite"),
    (TEXT.replace("2.0", "9" * 400), r"params\[1\] is not finite"),
    (TEXT.replace("2.0", "9" * 10_000), "not JSON"),
    (TEXT.replace('"version": 1', '"version": 1, "version": 1'), "'version' occurs twice"),
    (TEXT.replace("[1.0", "[" * 200_000), "nested too deeply"),
    (TEXT.replace("2.0", '{"a":' * 100_000), "nested too deeply"),
    (TEXT.replace('"version"', '"layers": 1000000000, "version"'), "unknown key 'layers'"),
]


@pytest.mark.parametrize(("text", "message"), NO_MODELS, ids=[message for _, message in NO_MODELS])
def test_text_that_is_no_model(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ModelFileError, match=message) as caught:
        model_file.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < len(str(path)) + 300


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    for length in range(len(TEXT)):
        path.write_text(TEXT[:length])
        with pytest.raises(ModelFileError):
            model_file.load(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(b"\x00\xff" + os.urandom(100))
    with pytest.raises(ModelFileError, match="byte 1 is not UTF-8"):
        model_file.load(path)


def test_oversized_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text(TEXT + " " * 2**20)
    with pytest.raises(ModelFileError, match="longer than 1048576 bytes"):
        model_file.load(path)


def test_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        model_file.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "'format' is 'other'; expected 'cbackprop-chain'"),
        ({"version": 2}, "'version' is 2; this release reads version 1"),
        ({"version": "1"}, "'version' is '1'"),
        ({"version": True}, "'version' is True"),
        ({"version": 1.0}, "'version' is 1.0"),
        ({"layers": 10**9}, "unknown key 'layers'"),
        ({"activations": 10**9}, "'activations' is 1000000000; expected a list"),
        ({"activations": "tanh"}, "'activations' is 'tanh'; expected a list"),
        ({"activations": []}, "'activations' is empty"),
        ({"activations": ["tanh"] * 10_001}, "10001 layers; a model file holds at most 10000"),
        ({"activations": ["tanh", 1, "tanh"]}, r"activations\[1\] is 1; expected a name"),
        ({"activations": ["tanh"]}, "'params' has 6 numbers and 'activations' 1 names"),
        ({"activations": ["log", "sigmod", "tanh"]}, "sigmod"),
        ({"params": None}, "'params' is None; expected a list"),
        ({"params": {"w1": 1}}, "'params' is .*; expected a list"),
        ({"params": [1.0, 0.0]}, "'params' has 2 numbers"),
        ({"params": [1.0, "0", 1, 0, 1, 0]}, r"params\[1\] is '0'; expected a number"),
        ({"params": [1.0, 0, True, 0, 1, 0]}, r"params\[2\] is True; expected a number"),
        ({"params": [1.0, 0, [1], 0, 1, 0]}, r"params\[2\] is \[1\]; expected a number"),
        ({"params": [1.0, 0, 1, math.nan, 1, 0]}, r"params\[3\] is not finite"),
        ({"params": [1.0, 0, 1, 0, 1, -math.inf]}, r"params\[5\] is not finite"),
        ({"params": [1.0, 0, 1, 0, 1, 10**400]}, r"params\[5\] is not finite"),
        ({"frozen": "w1"}, "'frozen' is 'w1'; expected a list"),
        ({"frozen": [1]}, r"frozen\[0\] is 1; expected a name"),
        ({"frozen": ["w4"]}, "w4"),
    ],
    ids=str,
)
def test_mapping_that_is_no_model(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        model_file.from_dict(a_model(**changes))


@pytest.mark.parametrize("key", model_file.KEYS)
def test_missing_key_is_named(key: str) -> None:
    model = a_model()
    del model[key]
    with pytest.raises(ModelFileError, match=f"'{key}' is missing"):
        model_file.from_dict(model)


# ---- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_not_finite_is_not_saved(tmp_path: Path, number: float) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    net = a_chain()
    net.params[3] = number
    with pytest.raises(ModelFileError, match=f"a.json: not saved: the chain has b2 = {number}"):
        model_file.save(net, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_too_long_is_not_saved(tmp_path: Path) -> None:
    net = cbp.Chain([1.0] * 10_001, [0.0] * 10_001)
    with pytest.raises(ModelFileError, match="10001 layers"):
        model_file.save(net, tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.json"):
        model_file.save(a_chain(), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_missing_folder_is_named_as_the_caller_did(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        model_file.save(a_chain(), tmp_path / "no" / "a.json")
    assert caught.value.filename == str(tmp_path / "no" / "a.json")


@pytest.mark.parametrize("name", ["a.json/", "a.json//", "a.json/.", "no/.."])
def test_a_path_that_can_only_be_a_folder_s_names_no_file(tmp_path: Path, name: str) -> None:
    path = f"{tmp_path}/{name}"
    with pytest.raises(OSError, match=r"directory"), open(path, "wb"):
        pass
    with pytest.raises(ModelFileError, match="expected an ordinary file") as ours:
        model_file.save(a_chain(), path)
    assert path in str(ours.value)
    assert os.listdir(tmp_path) == []


def test_folder_or_device_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="expected an ordinary file"):
        model_file.save(a_chain(), tmp_path)
    with pytest.raises(ModelFileError, match="expected an ordinary file"):
        model_file.save(a_chain(), os.devnull)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links as in POSIX")
def test_permissions_are_those_of_any_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    old = os.umask(0o027)
    try:
        model_file.save(a_chain(), path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    model_file.save(a_chain(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links as in POSIX")
def test_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "a.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    model_file.save(a_chain(), link)
    assert link.is_symlink()
    assert model_file.load(target) == a_chain()
    assert os.listdir(tmp_path / "there") == ["a.json"]


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o000])
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(mode)
    with pytest.raises(PermissionError) as caught:
        model_file.save(a_chain(), path)
    assert caught.value.filename == str(path)
    path.chmod(0o600)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


is_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files to others"
)


@is_root
def test_a_replaced_file_keeps_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    os.chown(path, 1234, 4321)
    path.chmod(0o640)
    model_file.save(a_chain(), path)
    assert model_file.load(path) == a_chain()
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (1234, 4321, 0o640)


@is_root
def test_a_file_whose_owner_cannot_be_kept_is_not_replaced() -> None:
    """Another user may write the file, and make files beside it, but give none away."""
    code = (
        "import os\n"
        "from cbackprop import model_file\n"
        "os.setgid(4321); os.setuid(4321)\n"
        "try: model_file.write_whole('a.json', b'new')\n"
        "except PermissionError as error: print(error)"
    )
    with tempfile.TemporaryDirectory() as folder:  # other users cannot go through pytest's folders
        path = Path(folder) / "a.json"
        path.write_text("old")
        os.chown(path, 1234, 1234)
        path.chmod(0o666)
        Path(folder).chmod(0o777)
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        assert "owner and group would change" in done.stdout
        assert "'a.json'" in done.stdout
        assert path.read_text() == "old"
        assert os.listdir(folder) == ["a.json"]


def killed_at(folder: Path, step: str, saving: str) -> int:
    """Save in a process that is asked to end at a step; give its exit status."""
    code = (
        "import os, signal, sys, time\n"
        "import cbackprop as cbp\n"
        "from cbackprop.cli import main\n"
        "def end(*_):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(30)\n"
        f"os.{step} = end\n"
        f"{saving}"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False, timeout=25)
    return done.returncode


def has_unnamed_files(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except (AttributeError, OSError):
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="signals as in POSIX")
def test_a_process_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    if not has_unnamed_files(tmp_path):
        pytest.skip("the file system has no unnamed files")
    (tmp_path / "a.json").write_text("old")
    saving = "cbp.Chain([1.0], [0.0]).save('a.json')"
    assert killed_at(tmp_path, "fsync", saving) == -signal.SIGTERM
    assert (tmp_path / "a.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as in POSIX")
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_command_that_is_killed_leaves_nothing_behind(tmp_path: Path, step: str) -> None:
    (tmp_path / "a.json").write_text("old")
    (tmp_path / "data.csv").write_text("x,y\n1,2\n2,4\n3,7\n")
    saving = "sys.exit(main('fit data.csv --curve linear --out a.json'.split()))"
    assert killed_at(tmp_path, step, saving) == 128 + signal.SIGTERM
    assert (tmp_path / "a.json").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "data.csv"]


def test_without_unnamed_files_all_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "a.json"
    for _ in range(2):
        model_file.save(a_chain(), path)
        assert model_file.load(path) == a_chain()
        assert os.listdir(tmp_path) == ["a.json"]

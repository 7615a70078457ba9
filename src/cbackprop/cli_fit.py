"""The command's verbs on data: ``fit``, ``predict``, ``invert``, ``plot`` and ``curves``."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._core import LOSSES, code_of_loss
from .cli_groups import fit_groups
from .cli_model import assigned, curve_of, fitted_by, start_of, values_of
from .curve_fit import CurveFit
from .curves import CURVES
from .errors import ParameterError
from .fitting import FitResult
from .model_file import load, write_whole
from .plot import import_matplotlib
from .table import Table, read_table

if TYPE_CHECKING:
    _Verbs: TypeAlias = "argparse._SubParsersAction[Any]"

__all__ = ["VERBS"]

Vector: TypeAlias = NDArray[np.float64]

# ---- fit -----------------------------------------------------------------------------------------


def fit(verbs: _Verbs) -> None:
    """Describe ``fit``: a curve or a chain fitted to a table's columns."""
    parser = verbs.add_parser(
        "fit",
        help="fit a curve to the columns of a CSV or TSV file",
        description="Fit a curve, or any chain, to two columns of a table, without starting values "
        "for curves. Ends with 0 if all was fitted, 1 if a fit did not converge.",
        epilog="example: cbackprop fit doses.csv --curve logistic4 --plot fit.png",
        allow_abbrev=False,
    )
    parser.add_argument("data", metavar="DATA", help="a CSV or TSV file, or - for standard input")
    parser.add_argument("--curve", metavar="NAME", help="see: cbackprop curves")
    parser.add_argument(
        "--activations",
        metavar="NAME,NAME,...",
        help="a chain of these layers, in place of a curve",
    )
    parser.add_argument(
        "--start", metavar="W,B,W,B,...", help="the chain's parameters to start from (default: 1,0)"
    )
    parser.add_argument(
        "--free", metavar="W1,B2,...", help="the chain's parameters that are fitted"
    )
    _add_columns(parser)
    parser.add_argument("--weight", metavar="COLUMN", help="column of weights")
    parser.add_argument("--group", metavar="COLUMN", help="one fit for each value of this column")
    parser.add_argument(
        "--fixed",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter of the curve that is known; may be repeated",
    )
    parser.add_argument("--loss", metavar="NAME", help=", ".join(LOSSES))
    parser.add_argument("--loss-scale", type=float, default=1.0, metavar="S", help="(default: 1)")
    parser.add_argument(
        "--covariance",
        choices=("gauss-newton", "hessian"),
        default="gauss-newton",
        help="for standard errors (default: gauss-newton)",
    )
    parser.add_argument("--out", metavar="FILE", help="write the fitted chain to a model file")
    parser.add_argument("--plot", metavar="FILE", help="write a picture (needs matplotlib)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_fit)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--x", metavar="COLUMN", help="column of inputs, by name or number")
    parser.add_argument("--y", metavar="COLUMN", help="column of outputs")


def _run_fit(given: argparse.Namespace) -> int:
    if (given.curve is None) == (given.activations is None):
        raise ParameterError("expected --curve or --activations; see: cbackprop curves")
    if given.curve is None and given.fixed:
        raise ParameterError("--fixed is for curves; the chain's --free says what is fitted")
    if given.group is not None and (given.out or given.plot):
        raise ParameterError("--out and --plot are for a single fit, not with --group")
    table = read_table(given.data)
    names = _columns_of(table, given)
    x, y = table.numbers(names[0]), table.numbers(names[1])
    weight = None if given.weight is None else table.numbers(given.weight)
    _check_options(given)
    if given.group is not None:
        code = fit_groups(given, table.texts(given.group), x, y, weight)
        _say_left_out(x, y, weight)
        return code
    fitted = fitted_by(given, x, y, weight)
    _say_left_out(x, y, weight)
    picture = b"" if given.plot is None else _picture_of(fitted, given.plot, names)
    if given.out is not None:
        fitted.chain.save(given.out)
    if given.plot is not None:
        write_whole(given.plot, picture)
    if given.json:
        print(json.dumps(_facts(fitted)))
    else:
        print(fitted)
    return 0 if fitted.converged else 1


def _say_left_out(x: Vector, y: Vector, weight: Vector | None) -> None:
    complete = np.isfinite(x) & np.isfinite(y)
    if weight is not None:
        complete &= np.isfinite(weight)
    count = int(np.count_nonzero(~complete))
    if count:
        rows = "1 incomplete row is" if count == 1 else f"{count} incomplete rows are"
        print(f"cbackprop: {rows} left out", file=sys.stderr)


def _check_options(given: argparse.Namespace) -> None:
    """Refuse at once what would be wrong for every group."""
    if given.loss is not None or given.loss_scale != 1.0:
        code_of_loss(given.loss or "huber", given.loss_scale)
    if given.curve is not None:
        curve_of(given.curve).check_names("--fixed", dict(map(assigned, given.fixed)))
    else:
        start_of(given)


def _columns_of(table: Table, given: argparse.Namespace) -> tuple[str, str]:
    """Take the columns named, or the only two that it can be."""
    used = [name for name in (given.x, given.y, given.weight, given.group) if name is not None]
    for name in used:
        table.texts(name)
    left = [
        name
        for k, name in enumerate(table.names, 1)
        if name not in used and str(k) not in used and table.is_numeric(name)
    ]
    wanted = [argument for argument, name in (("--x", given.x), ("--y", given.y)) if name is None]
    if len(left) < len(wanted) or (len(left) > len(wanted) and wanted):
        raise ParameterError(
            f"{table.source}: {' and '.join(wanted)} could be any of "
            f"{', '.join(map(repr, left)) or 'no column of numbers'}; say which"
        )
    rest = iter(left)
    return given.x or next(rest), given.y or next(rest)


def _facts(fitted: CurveFit | FitResult) -> dict[str, Any]:
    """Give what JSON is to say; it has no infinity and no NaN, which become null."""
    facts: dict[str, Any] = {
        "params": {name: _plain(value) for name, value, _ in values_of(fitted)},
        "stderr": {name: _plain(error) for name, _, error in values_of(fitted)},
        "rss": _plain(fitted.rss),
        "residual_sd": _plain(fitted.residual_sd),
        "df": fitted.df,
        "converged": fitted.converged,
        "status": fitted.status,
        "message": fitted.message,
        "chain": fitted.chain.to_dict(),
    }
    if isinstance(fitted, CurveFit):
        facts = {"curve": fitted.curve.name, **facts}
        for name in ("r2", "aic", "bic"):
            facts[name] = _plain(getattr(fitted, name))
    return facts


def _plain(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _picture_of(fitted: CurveFit | FitResult, path: str, names: tuple[str, str]) -> bytes:
    if not isinstance(fitted, CurveFit):
        raise ParameterError("--plot is for curves")
    _pyplot()
    ax = fitted.plot()
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    return _rendered(ax.figure, path, "--plot")


def _pyplot() -> Any:
    """Import matplotlib for drawing without a screen."""
    import_matplotlib().use("Agg")
    return import_matplotlib("pyplot")


def _rendered(figure: Any, path: str, argument: str) -> bytes:
    """Render a picture in the format that the path's ending names."""
    picture = io.BytesIO()
    try:
        figure.savefig(picture, format=Path(path).suffix[1:] or "png", dpi=150)
    except (ValueError, RuntimeError) as error:  # an unknown format, or one that needs a program
        raise ParameterError(f"{argument}: {error}") from None
    finally:
        _pyplot().close(figure)
    return picture.getvalue()


# ---- predict, invert -----------------------------------------------------------------------------


def predict(verbs: _Verbs) -> None:
    """Describe ``predict``: outputs of a fitted chain."""
    _add_map(verbs, "predict", "outputs of a fitted chain at given inputs", "X")


def invert(verbs: _Verbs) -> None:
    """Describe ``invert``: the inputs that give certain outputs."""
    _add_map(verbs, "invert", "inputs at which a fitted chain gives certain outputs", "Y")


def _add_map(verbs: _Verbs, name: str, text: str, value: str) -> None:
    parser = verbs.add_parser(
        name,
        help=text,
        description=f"Print the {text}.",
        epilog=f"example: cbackprop {name} model.json 0.5 1 2",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, as fit --out writes it")
    parser.add_argument("values", metavar=value, nargs="*", help="numbers")
    parser.add_argument("--data", metavar="DATA", help="take the numbers from a table, or - ")
    parser.add_argument("--column", metavar="COLUMN", help="its column, by name or number")
    parser.set_defaults(run=_run_map, inverse=name == "invert")


def _run_map(given: argparse.Namespace) -> int:
    net = load(given.model)
    if (given.data is None) == (not given.values):
        raise ParameterError("expected numbers, or --data")
    title = "x"
    if given.data is not None:
        table = read_table(given.data)
        numeric = [name for name in table.names if table.is_numeric(name)]
        if given.column is None and len(numeric) != 1:
            raise ParameterError(
                f"{table.source}: --column could be any of "
                f"{', '.join(map(repr, numeric)) or 'no column of numbers'}; say which"
            )
        title = given.column or numeric[0]
        values = table.numbers(title)
    else:
        try:
            values = np.array([float(text) for text in given.values])
        except ValueError as error:
            raise ParameterError(str(error)) from None
    found = np.asarray(net.inverse(values) if given.inverse else net.forward(values))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([title, "inverse" if given.inverse else "prediction"])
    writer.writerows(zip(map(repr, values.tolist()), map(repr, found.tolist()), strict=True))
    return 0


# ---- plot ----------------------------------------------------------------------------------------


def plot(verbs: _Verbs) -> None:
    """Describe ``plot``: a saved chain's picture, over a table's points or a range."""
    parser = verbs.add_parser(
        "plot",
        help="draw a fitted chain, with the points of a table or over a range",
        description="Draw the curve of a model file: over the points of a table, or a range of x.",
        epilog="example: cbackprop plot model.json doses.csv --out picture.png",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, as fit --out writes it")
    parser.add_argument("data", metavar="DATA", nargs="?", help="a CSV or TSV file, or -")
    _add_columns(parser)
    parser.add_argument("--range", metavar="FROM,TO", help="of x; by default that of the table")
    parser.add_argument("--out", metavar="FILE", required=True, help="the picture to write")
    parser.set_defaults(run=_run_plot, weight=None, group=None)


def _run_plot(given: argparse.Namespace) -> int:
    net = load(given.model)
    names, points = ("x", "output"), None
    if given.data is not None:
        table = read_table(given.data)
        names = _columns_of(table, given)
        points = (table.numbers(names[0]), table.numbers(names[1]))
    if given.range is not None:
        try:
            low, high = (float(text) for text in given.range.split(","))
        except ValueError:
            raise ParameterError(f"--range: {given.range!r}; expected FROM,TO") from None
    elif points is not None:
        low, high = float(np.nanmin(points[0])), float(np.nanmax(points[0]))
    else:
        raise ParameterError("expected DATA or --range")
    if not low < high:
        raise ParameterError(f"--range: from {low!r} to {high!r}; expected two different ends")
    pyplot = _pyplot()
    figure, ax = pyplot.subplots(figsize=(6.4, 4.4), layout="constrained")
    x = np.linspace(low, high, 400)
    ax.plot(x, np.asarray(net.forward(x)), color="#0072B2", linewidth=1.8)
    if points is not None:
        ax.plot(*points, "o", color="#000000", markersize=4.5)
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    write_whole(given.out, _rendered(figure, given.out, "--out"))
    return 0


# ---- curves --------------------------------------------------------------------------------------


def curves(verbs: _Verbs) -> None:
    """Describe ``curves``: what there is to fit."""
    parser = verbs.add_parser(
        "curves",
        help="list the curves with their formulas",
        description="List the curves with their formulas and parameters.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run_curves)


def _run_curves(given: argparse.Namespace) -> int:
    if given.json:
        listed: Mapping[str, Any] = {
            name: {"formula": curve.formula, "parameters": curve.parameters}
            for name, curve in CURVES.items()
        }
        print(json.dumps(listed))
        return 0
    width = max(map(len, CURVES))
    for name, curve in CURVES.items():
        print(f"{name:{width}}  {curve.formula}")
    return 0


VERBS: Final = (fit, predict, invert, plot, curves)

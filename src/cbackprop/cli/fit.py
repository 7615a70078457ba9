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

from ..curves import CURVES, CurveFit
from ..curves.weights import RULES
from ..errors import ParameterError
from ..fits.result import FitResult
from ..model_file import check_outputs, load, write_whole
from ..plot import VERBATIM, import_matplotlib
from .arguments import add_loss, file_name, finites, number
from .data import Data, counted, data_of, note, numeric_columns, read
from .groups import fit_groups
from .model import Found, assigned, check_model, fitted_by, names_fitted, plain
from .table import DECIMALS, THOUSANDS

if TYPE_CHECKING:
    _Verbs: TypeAlias = "argparse._SubParsersAction[Any]"

__all__ = ["VERBS"]

# ---- fit -----------------------------------------------------------------------------------------


def fit(verbs: _Verbs) -> None:
    """Add the verb ``fit``, which fits a curve or a chain to a table's columns."""
    parser = verbs.add_parser(
        "fit",
        help="fit a curve to the columns of a CSV or TSV file",
        description="Fit a curve, or any chain, to two columns of a table. Curves need no starting "
        "values. The exit code is 0 if all fits converged, 1 if one did not, 2 after an error.",
        epilog="example: cbackprop fit doses.csv --curve logistic4 --plot fit.png",
    )
    parser.add_argument(
        "data",
        type=file_name,
        metavar="DATA",
        help="a CSV or TSV file, or - for standard input",
    )
    parser.add_argument("--curve", metavar="NAME", help="see: cbackprop curves")
    parser.add_argument(
        "--activations",
        metavar="NAME,NAME,...",
        help="a chain of these layers, in place of a curve",
    )
    parser.add_argument(
        "--start",
        type=finites,
        metavar="W,B,W,B,...",
        help="with --activations: the parameters to start from (default: 1,0 for each layer)",
    )
    parser.add_argument(
        "--free",
        metavar="W1,B2,...",
        help="with --activations: the parameters that are fitted (default: all)",
    )
    _add_columns(parser)
    _add_marks(parser)
    parser.add_argument("--weight", metavar="COLUMN", help="column of weights")
    parser.add_argument(
        "--weights",
        dest="rule",
        choices=tuple(RULES),
        metavar="RULE",
        help="with --curve: 1/y, 1/y2, 1/fitted or 1/fitted2, for errors that grow with y",
    )
    parser.add_argument(
        "--group",
        metavar="COLUMN",
        help="make one fit, and print one row, per value of this column",
    )
    parser.add_argument(
        "--fixed",
        metavar="NAME=VALUE",
        type=assigned,
        action="append",
        help="with --curve: fix a known parameter; may be repeated for others",
    )
    add_loss(parser, "squared, or the curve's own")
    parser.add_argument(
        "--covariance",
        choices=("gauss-newton", "hessian"),
        metavar="NAME",
        help="method for standard errors: gauss-newton (default) or hessian",
    )
    parser.add_argument(
        "--interval",
        choices=("log", "wald"),
        metavar="NAME",
        help="with --curve: 95%% intervals of positive parameters on the scale of their logarithm "
        "(log, default), or symmetric (wald)",
    )
    parser.add_argument("--out", metavar="FILE", help="write the fitted chain of a single fit")
    parser.add_argument(
        "--plot", metavar="FILE", help="draw a single fit of a curve (needs matplotlib)"
    )
    parser.add_argument("--json", nargs=0, const=True, help="print JSON; one line for each group")
    parser.set_defaults(run=_run_fit)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--x", metavar="COLUMN", help="column of inputs, by name or number")
    parser.add_argument("--y", metavar="COLUMN", help="column of outputs")


def _add_marks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--decimal", choices=DECIMALS, metavar="MARK", help="decimal mark in the table: . or ,"
    )
    parser.add_argument(
        "--thousands",
        choices=THOUSANDS,
        metavar="MARK",
        help="thousands separator: . or , or ' or a space (default: none)",
    )


def _run_fit(given: argparse.Namespace) -> int:
    check_outputs({"DATA": given.data}, {"--out": given.out, "--plot": given.plot})
    check_model(given)
    if given.group is not None:
        for option in ("out", "plot", "interval"):
            if getattr(given, option) is not None:
                raise ParameterError(f"--{option}: only for a single fit, not with --group")
    data = data_of(read(given.data, given), given)
    if data.groups is not None:
        code = fit_groups(given, data, data.groups)
        _say_left_out(data)
        return code
    weight = None if data.weight is None else data.weight[data.complete]
    fitted = fitted_by(given, data.x[data.complete], data.y[data.complete], weight)
    _say_left_out(data)
    picture = b""
    if given.plot is not None and isinstance(fitted, CurveFit):
        picture = _picture_of(fitted, given.plot, data)
    if given.out is not None:
        fitted.chain.save(given.out)
    if given.plot is not None:
        write_whole(given.plot, picture)
    if given.json:
        print(json.dumps(_facts(fitted, data, given), allow_nan=False))
    elif isinstance(fitted, CurveFit):
        print(f"{data}\n{fitted.summary(interval=given.interval or 'log')}")
    else:
        print(f"{data}\n{fitted}")
    return 0 if fitted.converged else 1


def _say_left_out(data: Data) -> None:
    if data.left_out:
        rows = counted(data.left_out, "incomplete row")
        note(f"cbackprop: {rows} {'is' if data.left_out == 1 else 'are'} left out")


def _facts(fitted: CurveFit | FitResult, data: Data, given: argparse.Namespace) -> dict[str, Any]:
    """Return the contents of the JSON output."""
    facts: dict[str, Any] = {
        "columns": data.columns,
        "rows": data.rows,
        "left_out": data.left_out,
        **Found.of(fitted).facts(names_fitted(given)),
        "chain": fitted.chain.to_dict(),
    }
    if isinstance(fitted, CurveFit):
        facts = {"curve": fitted.curve.name, **facts}
        for name in ("r2", "aic", "bic"):
            facts[name] = plain(getattr(fitted, name))
        intervals = fitted.confidence_interval(interval=given.interval or "log")
        facts["interval"] = {name: [*map(plain, ends)] for name, ends in intervals.items()}
    return facts


def _picture_of(fitted: CurveFit, path: str, data: Data) -> bytes:
    _pyplot()
    ax = fitted.plot()
    ax.set_xlabel(data.columns["x"], **VERBATIM)
    ax.set_ylabel(data.columns["y"], **VERBATIM)
    return _rendered(ax.figure, path, "--plot")


def _pyplot() -> Any:
    """Import matplotlib with a backend that needs no screen."""
    import_matplotlib().use("Agg")
    return import_matplotlib("pyplot")


def _rendered(figure: Any, path: str, argument: str) -> bytes:
    """Render a picture in the format that the path's ending names."""
    picture = io.BytesIO()
    try:
        figure.savefig(picture, format=Path(path).suffix[1:] or "png", dpi=150)
    except (ValueError, RuntimeError) as error:  # an unknown format, or its program is missing
        raise ParameterError(f"{argument}: {error}") from None
    finally:
        _pyplot().close(figure)
    return picture.getvalue()


# ---- predict, invert -----------------------------------------------------------------------------


def predict(verbs: _Verbs) -> None:
    """Add the verb ``predict``, which prints outputs of a fitted chain."""
    _add_map(verbs, "predict", "outputs of a fitted chain at given inputs", "X")


def invert(verbs: _Verbs) -> None:
    """Add the verb ``invert``, which prints the inputs that give certain outputs."""
    _add_map(verbs, "invert", "inputs at which a fitted chain gives certain outputs", "Y")


def _add_map(verbs: _Verbs, name: str, text: str, value: str) -> None:
    parser = verbs.add_parser(
        name,
        help=text,
        description=f"Print the {text}.",
        epilog=f"example: cbackprop {name} model.json 0.5 1 2",
    )
    parser.add_argument(
        "model", type=file_name, metavar="MODEL", help="a model file, as fit --out writes it"
    )
    parser.add_argument("values", metavar=value, nargs="*", type=number, help="numbers")
    parser.add_argument(
        "--data", metavar="DATA", help="read the numbers from a table, or - for standard input"
    )
    parser.add_argument("--column", metavar="COLUMN", help="column of DATA, by name or number")
    _add_marks(parser)
    parser.set_defaults(run=_run_map, inverse=name == "invert")


def _run_map(given: argparse.Namespace) -> int:
    check_outputs({"MODEL": given.model, "--data": given.data}, {})
    if (given.data is None) == (not given.values):
        raise ParameterError("expected numbers, or --data")
    for option in ("column", "decimal", "thousands"):
        if getattr(given, option) is not None and given.data is None:
            raise ParameterError(f"--{option}: only for --data, not for numbers")
    net = load(given.model)
    title = "x"
    if given.data is not None:
        table = read(given.data, given)
        title = given.column or numeric_columns(table, ["--column"], table.names)[0]
        values = table.numbers(title)
    else:
        values = np.array(given.values)
    found = np.asarray(net.inverse(values) if given.inverse else net.forward(values))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([title, "inverse" if given.inverse else "prediction"])
    writer.writerows(zip(map(repr, values.tolist()), map(repr, found.tolist()), strict=True))
    return 0


# ---- plot ----------------------------------------------------------------------------------------


def plot(verbs: _Verbs) -> None:
    """Add the verb ``plot``, which draws a saved chain over a table's points or a range."""
    parser = verbs.add_parser(
        "plot",
        help="draw a fitted chain, with the points of a table or over a range",
        description="Draw the curve of a model file: over the points of a table, or a range of x.",
        epilog="example: cbackprop plot model.json doses.csv --out picture.png",
    )
    parser.add_argument(
        "model", type=file_name, metavar="MODEL", help="a model file, as fit --out writes it"
    )
    parser.add_argument(
        "data", type=file_name, metavar="DATA", nargs="?", help="a CSV or TSV file, or -"
    )
    _add_columns(parser)
    _add_marks(parser)
    parser.add_argument(
        "--range", type=_range, metavar="FROM,TO", help="range of x (default: that of the table)"
    )
    parser.add_argument("--out", metavar="FILE", required=True, help="the picture to write")
    parser.set_defaults(run=_run_plot)


def _range(text: str) -> tuple[float, float]:
    ends = finites(text)
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise argparse.ArgumentTypeError(f"{text!r}; expected FROM,TO with FROM below TO")
    return ends[0], ends[1]


def _run_plot(given: argparse.Namespace) -> int:
    check_outputs({"MODEL": given.model, "DATA": given.data}, {"--out": given.out})
    if given.data is None:
        if given.range is None:
            raise ParameterError("expected DATA or --range")
        for option in ("x", "y", "decimal", "thousands"):
            if getattr(given, option) is not None:
                raise ParameterError(f"--{option}: only for a column of DATA")
    net = load(given.model)
    x_name, y_name, points = "x", "output", None
    if given.data is not None:
        data = data_of(read(given.data, given), given)
        x_name, y_name = data.columns["x"], data.columns["y"]
        points = data.x[data.complete], data.y[data.complete]
    if given.range is not None:
        low, high = given.range
    elif points is not None and np.unique(points[0]).size > 1:
        low, high = points[0].min(), points[0].max()
    else:
        raise ParameterError(f"{given.data}: expected two different x, or --range")
    low, high = float(low), float(high)
    if math.isinf(high - low):
        raise ParameterError(f"x from {low} to {high}: too far apart to be drawn")
    pyplot = _pyplot()
    figure, ax = pyplot.subplots(figsize=(6.4, 4.4), layout="constrained")
    x = np.linspace(low, high, 400)
    ax.plot(x, np.asarray(net.forward(x)), color="#0072B2", linewidth=1.8)
    if points is not None:
        ax.plot(*points, "o", color="#000000", markersize=4.5)
    ax.set_xlabel(x_name, **VERBATIM)
    ax.set_ylabel(y_name, **VERBATIM)
    write_whole(given.out, _rendered(figure, given.out, "--out"))
    return 0


# ---- curves --------------------------------------------------------------------------------------


def curves(verbs: _Verbs) -> None:
    """Add the verb ``curves``, which lists the curves."""
    parser = verbs.add_parser(
        "curves",
        help="list the curves with their formulas",
        description="List the curves with their formulas and parameters.",
    )
    parser.add_argument("--json", nargs=0, const=True, help="print JSON")
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

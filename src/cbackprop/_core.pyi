from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    NamedTuple,
    Self,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from .curves.covariance import Fitted
from .curves.many import Found as _CurvesFound
from .fits.many import Found
from .fits.one import Objective
from .trace import Trace

_Loss: TypeAlias = Literal[
    "squared", "log", "huber", "soft_l1", "cauchy", "poisson", "binomial", "power", "box_cox"
]
_Kernel: TypeAlias = Literal["generic", "avx2", "avx512"]
_Number: TypeAlias = float | np.floating[Any] | np.integer[Any] | np.bool_
_Integer: TypeAlias = int | np.integer[Any]
# of numpy.random.default_rng
_Seed: TypeAlias = (
    _Integer
    | Sequence[int]
    | np.random.SeedSequence
    | np.random.BitGenerator
    | np.random.Generator
    | None
)
_Vector: TypeAlias = NDArray[np.float64]
# curve, code of the loss, what `fit_curve` has returned, another covariance
_CurveFit: TypeAlias = tuple["CurveRow", int, float, Fitted, _Vector | None]
_Out = TypeVar("_Out", bound=NDArray[np.float64])
_C = TypeVar("_C", bound="Chain")

__version__: Final[str]
ACTIVATIONS: Final[tuple[str, ...]]
LOSSES: Final[dict[str, LossFacts]]
CURVES: Final[dict[str, CurveFacts]]
RULES: Final[dict[str, int]]
GRIDS: Final[dict[str, int]]
MIRROR: Final[int]
__pyx_capi__: Final[dict[str, object]]

class LossFacts(NamedTuple):
    code: int
    target_low: float
    target_high: float
    dispersion: float
    has_scale: int
    is_robust: bool
    needs_sigmoid: bool

@final
class CurveRow: ...

class CurveFacts(NamedTuple):
    row: CurveRow
    formula: str
    parameters: tuple[str, ...]
    positive: tuple[str, ...]
    domain: tuple[float, float]
    loss: _Loss
    is_log_x: bool
    activations: tuple[str, ...]
    frozen: tuple[str, ...]
    is_log_dose: bool
    ends: tuple[str, ...]

def no_such_name(name: object, names: Sequence[str]) -> str: ...
def activation_code(name: object, argument: str = "activation") -> int: ...
def real_array(values: ArrayLike, argument: str) -> _Vector: ...
def activation_values(activation: str, z: ArrayLike) -> tuple[_Vector, _Vector, _Vector]: ...
def kernel() -> _Kernel: ...
def choose_kernel(name: str | None = None) -> None: ...

@disjoint_base
class Chain:
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __new__(
        cls,
        weights: ArrayLike,
        biases: ArrayLike,
        activations: str | Iterable[str] = "sigmoid",
        frozen: str | Iterable[str] = (),
    ) -> Self: ...
    @staticmethod
    def random(
        layers: _Integer,
        activations: str | Iterable[str] = "sigmoid",
        *,
        rng: _Seed = None,
    ) -> Chain: ...

    # ---- attributes ----

    @property
    def layers(self) -> int: ...
    @property
    def activations(self) -> tuple[str, ...]: ...
    @property
    def param_names(self) -> tuple[str, ...]: ...
    @property
    def params(self) -> _Vector: ...
    @property
    def weights(self) -> _Vector: ...
    @property
    def biases(self) -> _Vector: ...
    @property
    def frozen(self) -> tuple[str, ...]: ...
    @property
    def free(self) -> NDArray[np.bool_]: ...

    # ---- one value for each example: a float for a number, else an array ----

    @overload
    def __call__(self, x: _Number, *, threads: _Integer | None = None) -> float: ...
    @overload
    def __call__(self, x: ArrayLike, *, threads: _Integer | None = None) -> _Vector: ...
    @overload
    def forward(self, x: _Number, *, threads: _Integer | None = None) -> float: ...
    @overload
    def forward(self, x: ArrayLike, *, threads: _Integer | None = None) -> _Vector: ...
    @overload
    def slope(self, x: _Number, *, threads: _Integer | None = None) -> float: ...
    @overload
    def slope(self, x: ArrayLike, *, threads: _Integer | None = None) -> _Vector: ...
    @overload
    def inverse(self, y: _Number, *, threads: _Integer | None = None) -> float: ...
    @overload
    def inverse(self, y: ArrayLike, *, threads: _Integer | None = None) -> _Vector: ...

    # ---- one row for each example ----

    def gradients(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        threads: _Integer | None = None,
    ) -> _Vector: ...
    def jacobian(self, x: ArrayLike, *, threads: _Integer | None = None) -> _Vector: ...

    # ---- averages over the examples ----

    def loss(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        threads: _Integer | None = None,
    ) -> float: ...
    @overload
    def gradient(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        out: None = None,
        threads: _Integer | None = None,
    ) -> _Vector: ...
    @overload
    def gradient(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        out: _Out,
        threads: _Integer | None = None,
    ) -> _Out: ...
    @overload
    def loss_and_gradient(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        out: None = None,
        threads: _Integer | None = None,
    ) -> tuple[float, _Vector]: ...
    @overload
    def loss_and_gradient(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        out: _Out,
        threads: _Integer | None = None,
    ) -> tuple[float, _Out]: ...
    def hessian(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
    ) -> _Vector: ...
    def sharpness(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
    ) -> float: ...
    def residuals(self, x: ArrayLike, y: ArrayLike) -> _Vector: ...
    def objective(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
    ) -> Objective: ...

    # ---- one step, one example shown ----

    def step(self, x: ArrayLike, y: ArrayLike, learning_rate: _Number) -> float: ...
    def trace(
        self, x: _Number, y: _Number, *, loss: _Loss = "squared", loss_scale: _Number = 1.0
    ) -> Trace: ...

    # ---- copies and files ----

    def copy(self) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def to_dict(self) -> dict[str, object]: ...
    @staticmethod
    def from_dict(mapping: Mapping[str, object]) -> Chain: ...
    def save(self, path: str | PathLike[str]) -> None: ...

def low_level(chain: Chain) -> object: ...
def rebuild(
    cls: type[_C], params: ArrayLike, activations: Iterable[str], frozen: Iterable[str]
) -> _C: ...
def code_of_loss(loss: str, loss_scale: _Number) -> int: ...
def status_text(status: int) -> str: ...
def check_status(status: int, y: ArrayLike, sample_weight: ArrayLike | None, loss: int) -> None: ...
def fit_chain(
    net: Chain,
    run_pass: Callable[[Chain, int, float], _Vector],
    lower: _Vector | None,
    upper: _Vector | None,
    method: int,
    loss: int,
    scale: float,
    max_iterations: int,
    tolerance: float,
    learning_rate: float,
    momentum: float,
    batch_size: int,
    restarts: int,
    seed: int,
    callback: Callable[[int, int, float, float, _Vector], object] | None,
    history: _Vector,
) -> tuple[int, tuple[Chain, int, int, int, float, float] | None]: ...
def fit_covariance(
    net: Chain,
    node: _Vector,
    lower: _Vector | None,
    upper: _Vector | None,
    loss: int,
    hessian: _Vector | None,
) -> tuple[float, _Vector, _Vector, bytes]: ...
def node_sums(node: _Vector) -> tuple[float, float]: ...

LEAF: Final[int]

@final
class MemoryPass:
    def __new__(cls, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> MemoryPass: ...
    @property
    def n(self) -> int: ...
    @property
    def examples(self) -> tuple[ArrayLike, ArrayLike, ArrayLike | None]: ...
    def __call__(self, net: Chain, loss: int, scale: float) -> _Vector: ...
    def hessian(self, net: Chain, loss: int, scale: float) -> _Vector: ...

def leaf_nodes(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    loss: int,
    scale: float,
    first: int,
) -> tuple[NDArray[np.uintp], _Vector]: ...
def merge_nodes(
    net: Chain, leaves: int, parts: Iterable[tuple[NDArray[np.uintp], _Vector]]
) -> _Vector: ...
def gradient_sums(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    loss: str,
    loss_scale: _Number,
) -> _Vector: ...
def hessian_sums(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    loss: int,
    scale: float,
) -> _Vector: ...
def merge_sums(shards: Sequence[_Vector]) -> _Vector: ...
def mean_of_sums(sums: _Vector) -> _Vector: ...
def forward_many(
    params: _Vector, kind: Chain, x: ArrayLike, threads: _Integer | None = None
) -> _Vector: ...
def slope_many(
    params: _Vector, kind: Chain, x: ArrayLike, threads: _Integer | None = None
) -> _Vector: ...
def inverse_many(
    params: _Vector, kind: Chain, y: ArrayLike, threads: _Integer | None = None
) -> _Vector: ...
def gradient_many(
    params: _Vector,
    kind: Chain,
    x: _Vector,
    y: _Vector,
    weight: _Vector | None,
    loss: int,
    scale: float,
    gradient: _Vector | None,
    threads: _Integer | None = None,
) -> _Vector: ...
def choose_starts(
    kind: Chain,
    x: _Vector,
    y: _Vector,
    weight: _Vector | None,
    lower: _Vector | None,
    upper: _Vector | None,
    candidates: _Vector,
    row: int,
    params: _Vector,
) -> None: ...
def fit_block(
    kind: Chain,
    x: _Vector,
    y: _Vector,
    weight: _Vector | None,
    lower: _Vector | None,
    upper: _Vector | None,
    loss: int,
    scale: float,
    max_iterations: int,
    tolerance: float,
    stop: bytearray,
    fits: Found,
) -> int: ...
def define_curve(
    texts: tuple[str, str],
    parameters: tuple[str, ...],
    positive: tuple[str, ...],
    activations: tuple[str, ...],
    terms: Sequence[tuple[str, int, int, float]],
    domain: tuple[float, float],
    loss: str,
    log_axis: bool,
    start: tuple[str, bool, int, int, int, int, tuple[int, int, int]],
) -> CurveFacts: ...
def curve_chain(row: CurveRow, natural: _Vector) -> tuple[_Vector, _Vector]: ...
def fit_curve(
    row: CurveRow,
    start: _Vector | None,
    x: _Vector,
    y: _Vector,
    weight: _Vector | None,
    fixed: _Vector | None,
    lower: _Vector | None,
    upper: _Vector | None,
    loss: int,
    scale: float,
    max_iterations: int,
    tolerance: float,
) -> tuple[int, Any]: ...
def fit_curve_groups(
    row: CurveRow,
    start: _Vector | None,
    x: _Vector,
    y: _Vector,
    weight: _Vector | None,
    sizes: Sequence[int],
    shared: bytes,
    values: int,
    value: NDArray[np.uintp],
    factor: _Vector,
    fixed: _Vector | None,
    lower: _Vector | None,
    upper: _Vector | None,
    loss: int,
    scale: float,
    max_iterations: int,
    tolerance: float,
) -> tuple[int, Any]: ...
def fit_curve_block(
    row: CurveRow,
    start: _Vector | None,
    x: _Vector,
    y: _Vector,
    weight: _Vector | None,
    fixed: _Vector | None,
    lower: _Vector | None,
    upper: _Vector | None,
    loss: int,
    scale: float,
    max_iterations: int,
    tolerance: float,
    stop: bytearray,
    found: _CurvesFound,
) -> int: ...

INTERVALS: Final[dict[str, int]]

def t_quantile(probability: float, df: float) -> float: ...
def curve_intervals(fit: _CurveFit, interval: int, level: float) -> tuple[_Vector, _Vector]: ...
def curve_band(
    fit: _CurveFit, level: float, x: _Vector, weight: _Vector | None
) -> tuple[_Vector, _Vector, _Vector]: ...
def curve_inputs(
    fit: _CurveFit,
    interval: int,
    level: float,
    y: _Vector,
    weight: _Vector | None,
    is_dose: bool,
) -> list[_Vector]: ...

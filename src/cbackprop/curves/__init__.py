"""The classical models of one variable; `fit` needs no starting values."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .. import _core
from .assay import (
    AssayRange,
    DilutionLinearity,
    Recovery,
    assay_range,
    dilution_linearity,
    precision_profile,
    recovery,
)
from .bootstrap import Bootstrap, Jackknife, bootstrap, jackknife
from .combination import Combination, combine
from .comparison import Comparison, Selection, compare, lack_of_fit, no_effect, select
from .curve import Curve, named
from .definition import define
from .estimates import Inverse, Prediction
from .groups import GroupFits
from .influence import Influence, influence
from .known_errors import GoodnessOfFit, expand_means, goodness_of_fit
from .many import CurveFits
from .outliers import Outliers, outliers
from .plates import percent_of_controls, z_factor
from .potency import Assay, potency
from .profile import Profile, profile
from .ratios import Estimate, difference, ratio
from .residual_plots import plot_influence, plot_qq, plot_residuals
from .result import CurveFit
from .suitability import Criterion, Suitability, equivalence, suitability
from .variance import Dispersion, ScatterFit, box_cox, dispersion, power_of_mean

__all__ = [
    "CURVES",
    "Assay",
    "AssayRange",
    "Bootstrap",
    "Combination",
    "Comparison",
    "Criterion",
    "Curve",
    "CurveFit",
    "CurveFits",
    "DilutionLinearity",
    "Dispersion",
    "Estimate",
    "GoodnessOfFit",
    "GroupFits",
    "Influence",
    "Inverse",
    "Jackknife",
    "Outliers",
    "Prediction",
    "Profile",
    "Recovery",
    "ScatterFit",
    "Selection",
    "Suitability",
    "arrhenius",
    "assay_range",
    "asymptotic",
    "asymptotic_regression",
    "bootstrap",
    "box_cox",
    "combine",
    "compare",
    "define",
    "difference",
    "dilution_linearity",
    "dispersion",
    "equivalence",
    "expand_means",
    "exponential",
    "exponential_growth",
    "freundlich",
    "gaussian_peak",
    "gaussian_peak_baseline",
    "gompertz",
    "gompertz4",
    "goodness_of_fit",
    "hill",
    "hill_log10",
    "influence",
    "jackknife",
    "lack_of_fit",
    "langmuir",
    "linear",
    "log_normal",
    "logistic3",
    "logistic4",
    "logistic4_linear",
    "logistic4_log10",
    "logistic5",
    "logistic5_log10",
    "michaelis_menten",
    "no_effect",
    "no_effect_dose",
    "outliers",
    "percent_of_controls",
    "platt",
    "plot_influence",
    "plot_qq",
    "plot_residuals",
    "potency",
    "power",
    "power_of_mean",
    "precision_profile",
    "profile",
    "ratio",
    "recovery",
    "richards",
    "saturation",
    "select",
    "suitability",
    "weibull",
    "weibull_type1",
    "weibull_type2",
    "z_factor",
]

CURVES: Final[Mapping[str, Curve]] = MappingProxyType({name: named(name) for name in _core.CURVES})
"""Name -> curve, in the order of the documentation."""

linear: Final = CURVES["linear"]
exponential: Final = CURVES["exponential"]
saturation: Final = CURVES["saturation"]
asymptotic: Final = CURVES["asymptotic"]
power: Final = CURVES["power"]
michaelis_menten: Final = CURVES["michaelis_menten"]
hill: Final = CURVES["hill"]
logistic3: Final = CURVES["logistic3"]
logistic4_linear: Final = CURVES["logistic4_linear"]
logistic4: Final = CURVES["logistic4"]
logistic5: Final = CURVES["logistic5"]
gompertz: Final = CURVES["gompertz"]
weibull: Final = CURVES["weibull"]
richards: Final = CURVES["richards"]
gaussian_peak: Final = CURVES["gaussian_peak"]
arrhenius: Final = CURVES["arrhenius"]
platt: Final = CURVES["platt"]
gaussian_peak_baseline: Final = CURVES["gaussian_peak_baseline"]
exponential_growth: Final = CURVES["exponential_growth"]
langmuir: Final = CURVES["langmuir"]
freundlich: Final = CURVES["freundlich"]
hill_log10: Final = CURVES["hill_log10"]
logistic4_log10: Final = CURVES["logistic4_log10"]
logistic5_log10: Final = CURVES["logistic5_log10"]
weibull_type1: Final = CURVES["weibull_type1"]
weibull_type2: Final = CURVES["weibull_type2"]
log_normal: Final = CURVES["log_normal"]
gompertz4: Final = CURVES["gompertz4"]
no_effect_dose: Final = CURVES["no_effect_dose"]
asymptotic_regression: Final = CURVES["asymptotic_regression"]

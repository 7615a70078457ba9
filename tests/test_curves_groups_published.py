"""Hazard: fits of groups that differ from those of R, or whose errors are of another kind.

R's package drc takes the covariance from the exact Hessian, `nls` from J'J. What drc printed
stopped early, at about five digits: here stand values of the same fits in 50-digit arithmetic, or
of drc 3.2-0 at tight tolerances; of `nls`, R 4.2.2 with tol = 1e-7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curve_cases import columns
from numpy.typing import NDArray

from cbackprop import curves

Vector = NDArray[np.float64]
HERE = Path(__file__).parent
HESSIAN: dict[str, Any] = {"covariance": "hessian"}

DOSE, SLOPE, CURVE, HERBICIDE = columns(
    HERE / "vectors/spinach.csv", "dose", "slope", "curve", "herbicide"
)

# R's DNase, runs 1 to 4
CONC = np.repeat([0.04882812, 0.1953125, 0.390625, 0.78125, 1.5625, 3.125, 6.25, 12.5], 2)
DENSITY = """
0.017 0.018 0.121 0.124 0.206 0.215 0.377 0.374 0.614 0.609 1.019 1.001 1.334 1.364 1.73 1.71
0.045 0.05 0.137 0.123 0.225 0.207 0.401 0.383 0.672 0.681 1.116 1.078 1.554 1.526 1.932 1.914
0.07 0.068 0.173 0.165 0.277 0.248 0.434 0.426 0.703 0.689 1.067 1.077 1.629 1.479 2.003 1.884
0.011 0.016 0.118 0.108 0.2 0.206 0.364 0.36 0.62 0.64 0.979 0.973 1.424 1.399 1.74 1.732
"""
X, Y, RUN = np.tile(CONC, 4), np.array(DENSITY.split(), dtype=float), np.repeat([1, 2, 3, 4], 16)
FACTORS = {1: 1, 2: 1.1, 3: 0.9, 4: 1.05}


def check(fits: curves.GroupFits, name: str, wanted: Mapping[Any, tuple[float, float]]) -> None:
    """Compare estimates and errors, (value, error), of groups; None: of all."""
    for label, (value, error) in wanted.items():
        found, own = fits.params[name], fits.stderr[name]
        if label is not None:
            found, own = fits[label].params[name], fits[label].stderr[name]
        assert abs(found) == pytest.approx(abs(value), rel=1e-6)
        assert own == pytest.approx(error, rel=1e-5)


def test_alba_with_common_limits() -> None:
    """drm(DryMatter ~ Dose, Herbicide, LL.4(), pmodels = list(~ H - 1, ~ 1, ~ 1, ~ H - 1))."""
    x, y, herbicide = columns(HERE / "vectors/alba.csv", "dose", "matter", "herbicide")
    fits = curves.logistic4.fit_groups(x, y, herbicide, share=["bottom", "top"], **HESSIAN)
    check(fits, "bottom", {None: (0.71645173410214, 0.089246731430484)})
    check(fits, "top", {None: (3.8543751771144, 0.076248841672608)})
    check(
        fits,
        "slope",
        {
            "Bentazone": (5.0583565662027, 1.0451477863895),
            "Glyphosate": (2.3854460619831, 0.49332447317425),
        },
    )
    e = {
        "Bentazone": (28.63838569849, 2.0430267583923),
        "Glyphosate": (66.933043599807, 5.9793571691233),
    }
    check(fits, "ec50", e)
    assert fits.rss == pytest.approx(8.5113989625302, rel=1e-12)
    assert fits.log_likelihood == pytest.approx(-25.832373144972, rel=1e-12)
    assert (fits.aic, fits.aicc, fits.bic) == pytest.approx(
        (65.664746289944, 67.531412956611, 81.201300226177), rel=1e-12
    )
    # the ratio of both ec50 needs the covariance between groups
    b, g = (fits.row("ec50", label) for label in ("Bentazone", "Glyphosate"))
    ratio = e["Bentazone"][0] / e["Glyphosate"][0]
    slopes = np.array([1.0, -ratio]) / e["Glyphosate"][0]
    error = math.sqrt(slopes @ fits.covariance[np.ix_([b, g], [b, g])] @ slopes)
    assert error == pytest.approx(0.043954431117748, rel=1e-5)
    normal = curves.logistic4.fit_groups(x, y, herbicide, share=["bottom", "top"])
    errors = {"Bentazone": 1.0163653908816, "Glyphosate": 0.43710805910871}
    for label, wanted in errors.items():
        assert normal[label].stderr["slope"] == pytest.approx(wanted, rel=1e-6)
    assert normal.stderr["bottom"] == pytest.approx(0.086712254257047, rel=1e-6)
    both = normal.covariance[np.ix_([b, g], [b, g])]
    assert math.sqrt(slopes @ both @ slopes) == pytest.approx(0.044052470969335, rel=1e-6)
    apart = curves.logistic4.fit_groups(x, y, herbicide)
    assert apart.rss == pytest.approx(8.3479339107888, rel=1e-12)
    test = curves.compare(apart, fits)
    assert test.f == pytest.approx(0.58744494202362, rel=1e-9)
    assert test.p == pytest.approx(0.55890966906664, rel=1e-9)
    assert test.likelihood_ratio == pytest.approx(1.3186728020819, rel=1e-9)


def test_alba_apart() -> None:
    """drc 3.2-0, all parameters for each herbicide, and one variance."""
    x, y, herbicide = columns(HERE / "vectors/alba.csv", "dose", "matter", "herbicide")
    fits = curves.logistic4.fit_groups(x, y, herbicide, **HESSIAN)
    wanted = {
        "slope": (2.71614527548586, 0.747774358114818, 5.12535996146369, 1.12634416903432),
        "bottom": (0.891832694285232, 0.194450780267645, 0.681750349765501, 0.0951042800611994),
        "top": (3.87586753288059, 0.107457613616847, 3.80628370538317, 0.110310423048719),
        "ec50": (62.0480523585509, 6.60229873013855, 29.2648196266831, 2.23266089182552),
    }
    for name, (a, error_a, b, error_b) in wanted.items():
        for label, value, error in (("Glyphosate", a, error_a), ("Bentazone", b, error_b)):
            # drc stops at about 1e-6 of an error
            assert abs(fits[label].params[name]) == pytest.approx(value, abs=1e-4 * error)
            assert fits[label].stderr[name] == pytest.approx(error, rel=1e-4)


def test_puromycin_with_a_common_vmax() -> None:
    """R's Puromycin (Treloar 1974): one Vm, a K for each state; F test against both apart."""
    conc = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1]
    rate = [76.0, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200]
    rate += [67, 51, 84, 86, 98, 115, 131, 124, 144, 158, 160]
    x, state = conc + conc[:11], ["treated"] * 12 + ["untreated"] * 11
    apart = curves.michaelis_menten.fit_groups(x, rate, state)
    one_k = curves.michaelis_menten.fit_groups(x, rate, state, share=["km"])
    one_v = curves.michaelis_menten.fit_groups(x, rate, state, share=["vmax"])
    assert one_v.rss == pytest.approx(4815.4066688939, rel=1e-12)
    assert one_v.params["vmax"] == pytest.approx(194.103513187, rel=1e-9)
    k = one_v["untreated"].params["km"]
    assert k == pytest.approx(0.088653319061122, rel=1e-8)
    assert one_v["treated"].params["km"] - k == pytest.approx(-0.0406390867343, rel=1e-8)
    for fits, f, p in (
        (one_k, 1.718168870583, 0.20555227241045),
        (one_v, 25.520857559875, 7.0822101225238e-05),
    ):
        test = curves.compare(apart, fits)
        assert (test.f, test.p) == pytest.approx((f, p), rel=1e-9)
    # delV = Vm treated - Vm untreated
    v = [one_k.row("vmax", label) for label in ("treated", "untreated")]
    both = one_k.covariance[np.ix_(v, v)]
    error = math.sqrt(both[0, 0] - 2 * both[0, 1] + both[1, 1])
    assert error == pytest.approx(6.2721418348632, rel=1e-7)


def test_spinach_with_five_curves() -> None:
    """drm(SLOPE ~ DOSE, CURVE, data = spinach, fct = LL.4())."""
    fits = curves.logistic4.fit_groups(DOSE, SLOPE, CURVE, **HESSIAN)
    normal = curves.logistic4.fit_groups(DOSE, SLOPE, CURVE)
    assert fits.rss == pytest.approx(0.45954614495626, rel=1e-12)
    assert (fits.df, fits.converged) == (85, True)
    # b, c, d, e; each with the error by the Hessian, and by J'J
    wanted = {
        1: [
            (0.51951618483192, 0.076362935114717, 0.076520831757837),
            (-0.016600016301619, 0.1078318808116, 0.10763635452816),
            (1.8795503739627, 0.042371181844837, 0.042411129995266),
            (1.7949954765219, 0.47827234994864, 0.47593879106509),
        ],
        3: [
            (0.68190087809764, 0.12856171939589, 0.12585097287413),
            (0.14639709675013, 0.060434384625737, 0.056809168567016),
            (1.0903234975648, 0.040560753901841, 0.041670757075807),
            (1.3730790539587, 0.45273592514464, 0.42594038261311),
        ],
        5: [
            (1.6507259525626, 0.17582720103121, 0.16196937903695),
            (-0.0090738841316781, 0.044355155067675, 0.043116106230367),
            (1.8062834618196, 0.029246243940255, 0.028679496452964),
            (0.21079567643437, 0.013825605830486, 0.013890480502879),
        ],
    }
    for label, rows in wanted.items():
        one, other = fits[label], normal[label]
        sign = -1 if one.params["slope"] < 0 else 1
        for name, (value, error, of_jacobian) in zip(
            ("slope", "bottom", "top", "ec50"), rows, strict=True
        ):
            own = sign * one.params[name] if name == "slope" else one.params[name]
            assert own == pytest.approx(value, abs=1e-6 * error)
            assert one.stderr[name] == pytest.approx(error, rel=1e-5)
            assert other.stderr[name] == pytest.approx(of_jacobian, rel=1e-6)


def test_spinach_with_two_herbicides() -> None:
    """drm(SLOPE ~ DOSE, HERBICIDE, LL.4()), then with a common c, and with common c and d."""
    both = curves.logistic4.fit_groups(DOSE, SLOPE, HERBICIDE, **HESSIAN)
    one_c = curves.logistic4.fit_groups(DOSE, SLOPE, HERBICIDE, share=["bottom"], **HESSIAN)
    one_cd = curves.logistic4.fit_groups(DOSE, SLOPE, HERBICIDE, share=["bottom", "top"], **HESSIAN)
    assert both.rss == pytest.approx(3.9665668633537, rel=1e-12)
    assert both.log_likelihood == pytest.approx(23.004572488506, rel=1e-11)
    check(both, "slope", {"bentazon": (0.50882635363217, 0.16187793640525)})
    check(both, "bottom", {"diuron": (0.036146263701266, 0.080884842873583)})
    check(both, "ec50", {"bentazon": (1.5997298884496, 1.0003422741821)})
    assert one_c.rss == pytest.approx(3.9665779171264, rel=1e-12)
    check(one_c, "bottom", {None: (0.035539979475537, 0.071650976614061)})
    check(one_c, "top", {"diuron": (1.9800276411421, 0.055266331670226)})
    check(one_c, "ec50", {"bentazon": (1.5874760056414, 0.64696522705783)})
    check(one_c, "slope", {"diuron": (1.7490670797775, 0.31982820784658)})
    assert one_cd.rss == pytest.approx(6.6137158183725, rel=1e-12)
    assert one_cd.aicc == pytest.approx(22.826187312038, rel=1e-11)
    check(one_cd, "bottom", {None: (0.05861111450012, 0.075837892494246)})
    check(one_cd, "top", {None: (1.732896762556, 0.050093330204854)})
    check(one_cd, "ec50", {"bentazon": (0.38149708755062, 0.16848781973456)})
    check(one_cd, "slope", {"diuron": (2.4991786795968, 0.69574106265105)})
    for full, reduced, f, p in (
        (both, one_c, 0.00027031334358865, 0.98691617458019),
        (both, one_cd, 32.367215463971, 1.7041530651267e-11),
    ):
        test = curves.compare(full, reduced)
        assert test.f == pytest.approx(f, rel=1e-6)
        assert test.p == pytest.approx(p, rel=1e-6)


def test_dnase_with_a_value_for_pairs_of_runs() -> None:
    """nls(density ~ top / (1 + (ec[lab] / conc)^sl[run])), lab = 1 of runs 1 and 2, else 2."""
    lab = np.where(RUN < 3, "early", "late")
    fits = curves.hill.fit_groups(X, Y, RUN, share={"top": True, "ec50": lab})
    names = ("top", ("ec50", "early"), ("ec50", "late"), *(("slope", run) for run in (1, 2, 3, 4)))
    assert fits.names == names
    assert fits.shared_by == {"ec50": {1: "early", 2: "early", 3: "late", 4: "late"}}
    check(fits, "top", {None: (2.510562099451808, 0.1245374902322435)})
    early, late = (4.521799088980327, 0.5487673258226599), (4.424568588828628, 0.5401390445913993)
    check(fits, "ec50", {1: early, 2: early, 3: late, 4: late})
    slopes = {
        1: (0.942262065914922, 0.0527464466185116),
        2: (0.994598504857743, 0.0577414914132841),
        3: (0.959886915721346, 0.0547303319757028),
        4: (0.970545808423494, 0.0557492041010890),
    }
    check(fits, "slope", slopes)
    assert fits.rss == pytest.approx(0.211578238231806, rel=1e-12)
    assert (fits.df, fits.n_parameters) == (57, 7)
    assert fits.aic == pytest.approx(-167.946652488459, rel=1e-11)
    vcov = [
        [0.0155095864733461, 0.0665519492127127, 0.0655310981204803],
        [0.0665519492127127, 0.3011455778905533, 0.2811952672924217],
        [0.0655310981204803, 0.2811952672924217, 0.2917501874921096],
    ]
    np.testing.assert_allclose(fits.covariance[:3, :3], vcov, rtol=1e-5)
    assert fits.row("ec50", 4) == 2
    together = curves.hill.fit_groups(X, Y, RUN, share=["top", "ec50"])
    test = curves.compare(fits, together)
    assert test.f == pytest.approx(0.30892, abs=5e-6)
    assert test.p == pytest.approx(0.58052, abs=5e-6)


def test_dnase_with_known_factors() -> None:
    """nls(density ~ top[run] / (1 + (ec * f / conc)^sl)); and with top * f, f of any sign."""
    fits = curves.hill.fit_groups(X, Y, RUN, share={"ec50": FACTORS, "slope": True})
    tops = {
        1: (2.409993387642608, 0.0619148155914781),
        2: (2.797734388501951, 0.0723790896036075),
        3: (2.609103625034051, 0.0650479717385679),
        4: (2.489885996734683, 0.0644340869613078),
    }
    check(fits, "top", tops)
    check(fits, "slope", {None: (0.945518403809618, 0.0205170425857222)})
    ec50 = (4.716605634848440, 0.2844610221819866)
    check(fits, "ec50", {run: (ec50[0] * f, ec50[1] * f) for run, f in FACTORS.items()})
    assert fits.rss == pytest.approx(0.0473642670196676, rel=1e-12)
    assert math.sqrt(fits.covariance[0, 0]) == pytest.approx(ec50[1], rel=1e-5)
    assert fits.names[:2] == ("ec50", "slope")
    fits = curves.hill.fit_groups(X, Y, RUN, share={"top": FACTORS, "ec50": True})
    top = (2.301101764464093, 0.1602904009396771)
    check(fits, "top", {run: (top[0] * f, top[1] * f) for run, f in FACTORS.items()})
    check(fits, "ec50", {None: (3.789102958759778, 0.6260471247682395)})
    check(fits, "slope", {3: (1.129175754904358, 0.1216071790276706)})
    assert fits.rss == pytest.approx(0.616243168342286, rel=1e-12)
    mirrored = np.where(RUN == 3, -Y, Y)
    other = curves.hill.fit_groups(
        X, mirrored, RUN, share={"top": FACTORS | {3: -0.9}, "ec50": True}
    )
    assert other.rss == pytest.approx(fits.rss, rel=1e-12)
    assert other[3].params["top"] == pytest.approx(-0.9 * top[0], rel=1e-6)
    np.testing.assert_allclose(other.covariance, fits.covariance, rtol=1e-6)


def test_alba_by_transformed_responses() -> None:
    """drc's boxcox(): common limits, lambda 0.1010101; recomputed in 50 digits."""
    x, y, herbicide = columns(HERE / "vectors/alba.csv", "dose", "matter", "herbicide")
    options: dict[str, Any] = {"share": ["bottom", "top"], "loss": "box_cox"}
    options |= {"loss_scale": 0.1010101010101}
    fits = curves.logistic4.fit_groups(x, y, herbicide, **options, **HESSIAN)
    check(fits, "bottom", {None: (0.6825906820043, 0.028768501901284)})
    check(fits, "top", {None: (3.8626042375163, 0.10618589738897)})
    check(
        fits,
        "slope",
        {
            "Bentazone": (4.8387037957328, 0.92728782424059),
            "Glyphosate": (1.9443081861647, 0.23647080047914),
        },
    )
    check(
        fits,
        "ec50",
        {
            "Bentazone": (28.396277180385, 1.8746525412947),
            "Glyphosate": (65.573549867034, 5.6189707853959),
        },
    )
    assert fits.df == 62
    assert fits.log_likelihood == pytest.approx(-6.3602072366085, rel=1e-9)
    found = curves.ratio(fits, "ec50", "Bentazone", "Glyphosate")
    assert found.value == pytest.approx(0.43304468399171, rel=1e-8)
    assert found.stderr == pytest.approx(0.041805856453876, rel=1e-6)
    fits = curves.logistic4.fit_groups(x, y, herbicide, **options)
    check(
        fits,
        "ec50",
        {
            "Bentazone": (28.396277180385, 1.8890987130043),
            "Glyphosate": (65.573549867034, 5.9596069642555),
        },
    )
    check(
        fits,
        "slope",
        {
            "Bentazone": (4.8387037957328, 0.89506169092146),
            "Glyphosate": (1.9443081861647, 0.23128979296973),
        },
    )


# dose, trials and deaths of drc's selenium (Jeske et al. 2009), without the controls
SELENIUM = """
100 146 40 200 116 31 300 159 85 400 150 102 500 140 112
100 153 30 200 142 59 300 139 82 400 154 62 500 155 85
5 106 0 25 63 11 50 145 22 100 127 31 200 140 105 400 172 166 800 188 188
5 152 7 25 150 11 50 153 45 100 125 74
"""


@pytest.mark.parametrize(
    ("share", "log_likelihood", "slopes", "ec50s"),
    [
        (
            [],
            -96.792709565617,
            {
                1: (1.5035319819107, 0.15547401236128),
                2: (0.8432190103646, 0.1391073339269),
                3: (2.1635381618929, 0.13824142760197),
                4: (1.4530270155107, 0.1686069595876),
            },
            {
                1: (252.2558847765, 13.826865678516),
                2: (378.45887478546, 39.37044782895),
                3: (119.71298987883, 5.90535963389),
                4: (88.805241915758, 8.6161624171691),
            },
        ),
        (
            ["slope"],
            -121.11989824666,
            {None: (1.5901133819985, 0.069451687395998)},
            {
                1: (253.44224478606, 13.109550898408),
                2: (331.62633904128, 16.855790457881),
                3: (114.79258113871, 6.7605126269533),
                4: (84.970899846752, 6.1733806806809),
            },
        ),
        (
            ["ec50"],
            -158.57213368923,
            {
                1: (0.60349099681545, 0.10046723081858),
                2: (0.058098738637963, 0.082598706669067),
                3: (2.1775955626143, 0.13773343507759),
                4: (1.0952872255576, 0.10232841077312),
            },
            {None: (126.51231159966, 6.854756225972)},
        ),
    ],
)
def test_selenium(
    share: list[str],
    log_likelihood: float,
    slopes: dict[Any, tuple[float, float]],
    ec50s: dict[Any, tuple[float, float]],
) -> None:
    """LL.2 of four types: apart, with a common b, with a common e; recomputed in 50 digits."""
    rows = np.array(SELENIUM.split(), dtype=float).reshape(-1, 3)
    dose, trials, deaths = rows.T
    kind = np.repeat([1, 2, 3, 4], [5, 5, 7, 4])
    fits = curves.hill.fit_groups(
        dose,
        deaths / trials,
        kind,
        share=share,
        sample_weight=trials,
        loss="binomial",
        fixed={"top": 1},
        **HESSIAN,
    )
    check(fits, "slope", slopes)
    check(fits, "ec50", ec50s)
    assert fits.log_likelihood == pytest.approx(log_likelihood, rel=1e-10)


def test_effective_doses_of_selenium() -> None:
    """ED(drm(..., LL.2(), type = "binomial"), c(10, 50, 90)) of type 1, drc 3.2-0."""
    rows = np.array(SELENIUM.split(), dtype=float).reshape(-1, 3)[:5]
    dose, trials, deaths = rows.T
    options: dict[str, Any] = {"loss": "binomial", "fixed": {"top": 1}, **HESSIAN}
    fitted = curves.hill.fit(dose, deaths / trials, sample_weight=trials, **options)
    published = {
        10: (58.5024538631732, 9.86880399886968),
        50: (252.255889544079, 13.8268595670174),
        90: (1087.6985426714, 165.758207190806),
    }
    for percent, (dose_at, error) in published.items():
        found = fitted.effective_dose(percent, interval="wald")
        assert found.value == pytest.approx(dose_at, abs=1e-6 * error)
        assert found.stderr == pytest.approx(error, rel=1e-6)

"""
Reading a calibration curve backwards
=====================================

The standards of an ELISA (R's ``DNase``, run 1), the 4PL fitted to them, and the concentrations of four samples with their
standard errors: the chain is inverted layer by layer, without iteration. Readings scatter the more the greater they are;
``power_of_mean`` finds how, and below it is what the standard errors would be if all readings scattered alike.
"""

import matplotlib.pyplot as plt
import numpy as np

from cbackprop import curves

conc = np.repeat([0.04882812, 0.1953125, 0.390625, 0.78125, 1.5625, 3.125, 6.25, 12.5], 2)
density = np.array([
    0.017, 0.018, 0.121, 0.124, 0.206, 0.215, 0.377, 0.374,
    0.614, 0.609, 1.019, 1.001, 1.334, 1.364, 1.730, 1.710,
])  # fmt: skip

standard = curves.power_of_mean(curves.logistic4, conc, density).fit
samples = np.array([0.02, 0.31, 0.75, 1.52])
found = standard.inverse(samples, replicates=2)

fig, (ax, below) = plt.subplots(
    2, 1, figsize=(7, 6), sharex=True, height_ratios=[3, 2], layout="constrained"
)
grid = np.geomspace(0.04, 16, 300)
ax.semilogx(conc, density, "o", color="black")
ax.plot(grid, standard(grid), color="#0072B2")
for y, x, error in zip(samples, found.value, found.stderr, strict=True):
    ax.plot([0.04, x, x], [y, y, 0], color="#D55E00", linewidth=1)
    ax.errorbar(x, y, xerr=error, color="#D55E00", capsize=4)
    ax.text(0.06, y + 0.03, f"{x:.3g} ± {error:.1g}", color="#D55E00", fontsize=9)
ax.set_ylim(0, None)
ax.set_ylabel("optical density")

readings = np.geomspace(0.018, 1.75, 100)
for label, fit, color in (
    ("errors that grow with the reading", standard, "#D55E00"),
    ("equal errors", curves.logistic4.fit(conc, density), "#999999"),
):
    back = fit.inverse(readings, replicates=2)
    below.semilogx(back.value, 100 * back.stderr / back.value, color=color, label=label)
below.set_xlabel("concentration, ng/ml")
below.set_ylabel("standard error, percent")
below.set_ylim(0, 30)
below.legend()

"""
Which of three growth curves?
=============================

The growth of onions (NIST's reference problem Rat43) by three models. AIC weighs the fit against the number of parameters.
"""

import matplotlib.pyplot as plt
import numpy as np

from cbackprop import curves

time = np.arange(1.0, 16.0)
weight = np.array([
    16.08, 33.83, 65.8, 97.2, 191.55, 326.2, 386.87, 520.53,
    590.03, 651.92, 724.93, 699.56, 689.96, 637.56, 717.41,
])  # fmt: skip

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(time, weight, "o", color="black")
grid = np.linspace(0.5, 15.5, 300)
for curve in (curves.logistic3, curves.gompertz, curves.richards):
    fitted = curve.fit(time, weight)
    ax.plot(grid, fitted(grid), label=f"{curve.name}, AIC {fitted.aic:.1f}")
ax.set_xlabel("time")
ax.set_ylabel("weight")
ax.legend()

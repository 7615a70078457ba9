"""
Robust losses and outliers
==========================

Reaction rates of an enzyme, two of them wrong. These change the fit by the squared loss, but hardly that by the
Cauchy loss.
"""

import matplotlib.pyplot as plt
import numpy as np

from cbackprop import curves

dose = np.array([0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1])
rate = np.array([76.0, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200])
rate[[3, 10]] = 190, 110

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(dose, rate, "o", color="black")
grid = np.linspace(0, 1.15, 300)
for loss in ("squared", "cauchy"):
    fitted = curves.michaelis_menten.fit(dose, rate, loss=loss, loss_scale=10.0)
    ax.plot(
        grid,
        fitted(grid),
        label=f"{loss}: vmax {fitted.params['vmax']:.0f}, km {fitted.params['km']:.3f}",
    )
ax.set_xlabel("substrate")
ax.set_ylabel("rate")
ax.legend()

"""
Residuals of a fitted curve
===========================

Three pictures of one fit: residuals over the curve's value, over normal quantiles, and over the leverage of the points
with lines of equal Cook's distance. The largest ones have their numbers: reading 3 is wrong.
"""

import matplotlib.pyplot as plt
import numpy as np

from cbackprop import curves

dose = np.array([0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1])
rate = np.array([76.0, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200])
rate[3] = 190

fitted = curves.michaelis_menten.fit(dose, rate)
fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
curves.plot_residuals(fitted, axes[0])
curves.plot_qq(fitted, axes[1])
curves.plot_influence(fitted, axes[2])

"""
A dose-response curve
=====================

Root length of ryegrass against ferulic acid (Inderjit, Streibig and Olofsdotter, 2002; in R's drc as ``ryegrass``), with the
95 % confidence band, the ED50, and the residuals. Controls at dose 0 are drawn at the left edge.
"""

import numpy as np

from cbackprop import curves

dose = np.repeat([0, 0.94, 1.88, 3.75, 7.5, 15, 30], [6, 3, 3, 3, 3, 3, 3])
length = np.array([
    7.58, 8.0, 8.328571, 7.25, 7.375, 7.9625,
    8.355556, 6.914286, 7.75, 6.871429, 6.45, 5.922222, 1.925, 2.885714, 4.233333,
    1.1875, 0.857143, 1.057143, 0.6875, 0.525, 0.825, 0.25, 0.22, 0.44,
])  # fmt: skip

fitted = curves.logistic4.fit(dose, length, covariance="hessian")
print(fitted)
fitted.plot(residuals=True)

"""A herbicide's ED50, with the standard errors that R's drc prints.

    python examples/dose_response.py

Root length of ryegrass falls with the dose of ferulic acid, so the slope is negative. Standard
errors come from the exact Hessian of the loss, as in drc, where the slope has the other sign and
bottom, top, ec50 are c, d, e: c 0.4814 (0.2122), d 7.7930 (0.1886), e 3.0580 (0.1857).
"""

from pathlib import Path

import numpy as np

from cbackprop import curves

data = Path(__file__).parent / "data" / "ryegrass.csv"
dose, length = np.loadtxt(data, delimiter=",", skiprows=2, unpack=True)
fit = curves.logistic4.fit(dose, length, covariance="hessian")
print(fit)

print()
for loss in (10, 50, 90):
    ed, error = fit.effective_dose(loss)
    print(f"{loss} % shorter: {ed:.4f} mM, standard error {error:.4f}")

low, high = fit.confidence_interval()["ec50"]
print(f"ED50 = {fit.params['ec50']:.4f} mM, 95 % interval {low:.4f} to {high:.4f}")

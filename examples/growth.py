"""Which growth curve? Richards against Gompertz and the logistic, by AIC.

    python examples/growth.py

The data are the onion weights of NIST's problem Rat43; its certified fit has asymptote 699.6415 and
rate 0.75963. A Richards curve of shape 1 is a logistic; as its shape goes to 0 it becomes a
Gompertz curve. AIC weighs the fit against the number of parameters; the smaller the better.
"""

from pathlib import Path

import numpy as np

from cbackprop import curves

data = Path(__file__).parent / "data" / "rat43.csv"
time, weight = np.loadtxt(data, delimiter=",", skiprows=2, unpack=True)
fits = [c.fit(time, weight) for c in (curves.richards, curves.gompertz, curves.logistic3)]
print(fits[0])

print()
print("curve      parameters  residual sd      AIC  asymptote")
for fit in sorted(fits, key=lambda fit: fit.aic):
    print(
        f"{fit.curve.name:9}  {len(fit.params):10}  {fit.residual_sd:11.4f}  {fit.aic:7.3f}"
        f"  {fit.params['asymptote']:9.4f}"
    )
print(f"least AIC: {min(fits, key=lambda fit: fit.aic).curve.name}")

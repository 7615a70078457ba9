"""An ELISA plate: a 4PL standard curve, and the concentrations of unknown samples.

    python examples/elisa_plate.py

The standards are measured ones (DNase, run 1); the samples are made up, each the mean of two wells.
Replicates of the standards differ by 0.001 at a density of 0.02 and by 0.02 at 1.7: errors grow
with the density, and `power_of_mean` finds how. Without that a density of 0.02 would seem as
uncertain as one of 1.7. `inverse` inverts the chain layer by layer, from the last to the first. Its
standard errors include the uncertainty of the standard curve, and with `replicates` that of the
sample's wells.
"""

from pathlib import Path

import numpy as np

from cbackprop import curves

data = Path(__file__).parent / "data" / "dnase.csv"
conc, density = np.loadtxt(data, delimiter=",", skiprows=2, unpack=True)
equal = curves.logistic4.fit(conc, density)
scatter = curves.power_of_mean(curves.logistic4, conc, density)
standard = scatter.fit
print(scatter)

absorbances = np.array([0.02, 0.08, 0.31, 0.75, 1.52, 2.9])
found = standard.inverse(absorbances, replicates=2)
naive = equal.inverse(absorbances, replicates=2)
print()
print("absorbance  conc, ng/ml  std. error  (if errors were equal)")
for row in zip(absorbances, found.value, found.stderr, naive.stderr, strict=True):
    absorbance, value, error, other = row
    if np.isnan(value):
        print(f"{absorbance:10.3f}  beyond the curve, which ends at {standard.params['top']:.3f}")
    else:
        print(f"{absorbance:10.3f}  {value:11.4f}  {error:10.4f}  {other:10.4f}")

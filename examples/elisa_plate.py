"""An ELISA plate: a 4PL standard curve, and the concentrations of unknown samples.

    python examples/elisa_plate.py

The standards are measured ones (DNase, run 1); the samples are made up, each the mean of two wells.
`inverse` inverts the chain layer by layer, from the last to the first. Its standard errors include
the uncertainty of the standard curve, and with `replicates` that of the sample's wells.
"""

from pathlib import Path

import numpy as np

from cbackprop import curves

data = Path(__file__).parent / "data" / "dnase.csv"
conc, density = np.loadtxt(data, delimiter=",", skiprows=2, unpack=True)
standard = curves.logistic4.fit(conc, density)
print(standard)

absorbances = np.array([0.08, 0.31, 0.75, 1.52, 2.6])
found = standard.inverse(absorbances, replicates=2)
print()
print("absorbance  conc, ng/ml  std. error")
for absorbance, value, error in zip(absorbances, found.value, found.stderr, strict=True):
    if np.isnan(value):
        print(f"{absorbance:10.3f}  beyond the curve, which ends at {standard.params['top']:.3f}")
    else:
        print(f"{absorbance:10.3f}  {value:11.4f}  {error:10.4f}")

"""The potency of a coagulation factor: parallel lines, tests of validity, two kinds of intervals.

    python examples/relative_potency.py

Example 3 of CombiStats (EDQM, Council of Europe): clotting times with dilutions of a standard of
10.7 IU and of a vial of about 500 IU of factor IX. Their logarithms are lines of the logarithm of
the dose. The published potency is 511.616 IU, 436.530 to 599.058 IU.
"""

import numpy as np

from cbackprop import curves

dilutions = np.repeat([10, 20, 40, 80], 2)
dose = np.concatenate([10.7 / dilutions, 500 / (50 * dilutions)])
sample = ["standard"] * 8 + ["vial"] * 8
seconds = [61.8, 63.2, 72.4, 76.1, 84.8, 90.0, 96.4, 99.6]
seconds += [62.4, 65.4, 74.0, 76.1, 86.3, 89.9, 96.0, 99.4]

for error in ("replicates", "residual"):
    assay = curves.potency(
        dose,
        np.log(seconds),
        sample,
        reference="standard",
        curve="parallel_line",
        interval="fieller",
        error=error,
    )
    iu = 500 * np.array([assay["vial"].value, assay["vial"].low, assay["vial"].high])
    print(f"variance of {error}: {iu[0]:.3f} IU, {iu[1]:.3f} to {iu[2]:.3f} IU")

print()
print("are the lines parallel?")
print(curves.equivalence(assay, {"slope": (0.8, 1.25)}))

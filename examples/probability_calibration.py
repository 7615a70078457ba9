"""From a classifier's scores to probabilities: Platt scaling, one sigmoid layer.

    python examples/probability_calibration.py

The scores are the log odds of an overconfident classifier. Scores and labels are simulated, with
P(label = 1) = 1 / (1 + exp(-(0.5 score - 1))). Platt's targets, (N+ + 1) / (N+ + 2) and
1 / (N- + 2) instead of 1 and 0, keep the parameters finite even where a score separates the labels.
"""

import numpy as np

import cbackprop as cbp
from cbackprop import curves

scores = np.linspace(-6, 6, 61)
labels = np.array([*map(int, "0001000000010100000011000000000010010001010110111001011111111")])

positive = int(labels.sum())
negative = len(labels) - positive
targets = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
fit = curves.platt.fit(scores, targets)

for name, truth in (("slope", 0.5), ("intercept", -1.0)):
    print(
        f"{name:9}  {fit.params[name]:7.4f}, standard error {fit.stderr[name]:.4f}; truth {truth}"
    )
as_they_are = cbp.Chain([1], [0], "sigmoid")
for score in (-3.0, 0.0, 3.0):
    print(f"score {score:4.1f}: probability {as_they_are(score):.3f}, calibrated {fit(score):.3f}")

before, after = (net.loss(scores, labels, loss="log") for net in (as_they_are, fit.chain))
print(f"log loss on the labels: {before:.4f}, calibrated {after:.4f}")

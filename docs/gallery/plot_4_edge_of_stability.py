"""
The edge of stability
=====================

Gradient descent on a chain of three tanh layers and an identity layer. The largest eigenvalue of the Hessian, the sharpness, changes during the descent. Where it
exceeds 2 / learning rate, the descent cannot converge to the minimum nearby, and the loss begins to oscillate.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbackprop as cbp

x = np.linspace(-1, 1, 20)
y = np.sin(2 * x)
fig, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
for rate, color in ((0.15, "#0072B2"), (0.45, "#D55E00")):
    net = cbp.Chain(
        [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], ["tanh", "tanh", "tanh", "identity"]
    )
    losses, sharpness = [], []
    for _ in range(200):
        sharpness.append(net.sharpness(x, y))
        losses.append(net.step(x, y, learning_rate=rate))
    above.semilogy(losses, color=color, label=f"learning rate {rate}")
    below.plot(sharpness, color=color)
    below.axhline(2 / rate, color=color, linestyle="--", linewidth=1)
above.set_ylabel("loss")
above.legend()
below.set_ylabel("sharpness, and 2 / rate")
below.set_xlabel("step")

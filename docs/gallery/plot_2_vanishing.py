"""
Vanishing gradients
===================

How much of the error signal reaches each of twenty layers? With weights of 1 a sigmoid layer passes on a quarter of it at
most, tanh nearly all while its inputs are small. With weights of 4 a sigmoid passes on all of it where its slope is greatest.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbackprop as cbp

layers = np.arange(1, 21)
cases = [("sigmoid", 1.0, 0.0), ("sigmoid", 4.0, -2.0), ("tanh", 1.0, 0.0), ("softsign", 1.0, 0.0)]
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for activation, weight, bias in cases:
    net = cbp.Chain(np.full(20, weight), np.full(20, bias), activation)
    delta = np.abs(net.trace(0.5, 1.0).delta)
    ax.semilogy(
        layers, delta / delta[-1], "o-", label=f"{activation}, w = {weight:g}, b = {bias:g}"
    )
ax.set_xlabel("layer")
ax.set_ylabel("|Δ| relative to the last layer")
ax.set_xticks(layers[::2])
ax.grid(alpha=0.3)
ax.legend()

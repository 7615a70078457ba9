"""How the error signal shrinks in the backward pass: sigmoid against tanh, 2 to 30 layers.

    python examples/vanishing_gradients.py

All weights are 1 and all biases 0. Each layer multiplies the signal by its weight and by the slope
of its activation, which is at most 1/4 for a sigmoid and at most 1 for tanh.
`cbackprop.plot.gradient_flow` draws the same with matplotlib.
"""

import numpy as np

import cbackprop as cbp

ACTIVATIONS = ("sigmoid", "tanh")


def signals(layers: int, activation: str) -> np.ndarray:
    """Compute |Δ| of every layer for the example x = 0.5, y = 1."""
    net = cbp.Chain(np.ones(layers), np.zeros(layers), activation)
    return np.abs(net.trace(0.5, 1.0).delta)


print("|Δ| by layer, L = 10")
print("layer     sigmoid        tanh")
for layer, pair in enumerate(zip(*(signals(10, a) for a in ACTIVATIONS), strict=True), start=1):
    print(f"{layer:5}  {pair[0]:10.3e}  {pair[1]:10.3e}")

print()
print("|Δ| of layer 1, relative to the last layer")
print("    L     sigmoid        tanh")
for layers in (2, 3, 5, 10, 20, 30):
    ratios = [delta[0] / delta[-1] for delta in (signals(layers, a) for a in ACTIVATIONS)]
    print(f"{layers:5}  {ratios[0]:10.3e}  {ratios[1]:10.3e}")

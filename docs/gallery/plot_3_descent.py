"""
The loss over two weights
=========================

The loss of a chain over two of its weights, and the path of gradient descent from the start to the minimum.
"""

import numpy as np

import cbackprop as cbp
from cbackprop import plot

x = np.linspace(-2, 2, 40)
y = cbp.Chain([1.2, 2.0], [0.0, 0.0], ["tanh", "identity"])(x)

net = cbp.Chain([0.2, 0.4], [0.0, 0.0], ["tanh", "identity"], frozen=["b1", "b2"])
path = [net.params.copy()]
for _ in range(60):
    net.step(x, y, learning_rate=0.15)
    path.append(net.params.copy())

plot.loss_surface(net, x, y, ("w1", "w2"), path=path)

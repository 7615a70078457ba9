"""
The loss as a landscape
=======================

Two weights of a chain, the loss over both, and the way that gradient descent takes from the hill into the valley.
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

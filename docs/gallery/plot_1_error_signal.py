"""
The error signal flows back
===========================

One example in three layers: values flow right, and the error signal Δ flows left and becomes much smaller at each
sigmoid.
"""

import cbackprop as cbp
from cbackprop import plot

net = cbp.Chain([1.5, -0.8, 2.0], [0.1, 0.3, -0.4], ["tanh", "sigmoid", "sigmoid"])
plot.trace(net, x=0.5, y=1.0)

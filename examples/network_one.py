"""The forward and backward pass of one example through two sigmoid layers, with every number.

    python examples/network_one.py

The chain has w1 = 1.5, b1 = 0.1, w2 = -0.8, b2 = 0.3. The derivative by w1 is then checked by a
difference quotient: the loss is computed for a slightly greater and a slightly smaller w1.
"""

import cbackprop as cbp

net = cbp.Chain(weights=[1.5, -0.8], biases=[0.1, 0.3], activations="sigmoid")
trace = net.trace(0.5, 1.0)
print(trace)

h = 1e-6
losses = []
for w1 in (1.5 + h, 1.5 - h):
    changed = net.copy()
    changed.weights[0] = w1
    losses.append(changed.loss(0.5, 1.0))

print()
print(f"∂E/∂w1 by the derivation    {trace.gradient[0]:.8f}")
print(f"∂E/∂w1 by a difference      {(losses[0] - losses[1]) / (2 * h):.8f}")

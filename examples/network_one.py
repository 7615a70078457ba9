"""One example's way through two sigmoid layers and back, every number shown.

    python examples/network_one.py

The chain has w1 = 1.5, b1 = 0.1, w2 = -0.8, b2 = 0.3. The gradient of the derivation is then
checked as one would by hand: push w1 a little to both sides, and see by how much the loss changes.
"""

import cbackprop as cbp

net = cbp.Chain(weights=[1.5, -0.8], biases=[0.1, 0.3], activations="sigmoid")
trace = net.trace(0.5, 1.0)
print(trace)

push = 1e-6
losses = []
for w1 in (1.5 + push, 1.5 - push):
    pushed = net.copy()
    pushed.weights[0] = w1
    losses.append(pushed.loss(0.5, 1.0))

print()
print(f"∂E/∂w1 by the derivation    {trace.gradient[0]:.8f}")
print(f"∂E/∂w1 by pushing w1        {(losses[0] - losses[1]) / (2 * push):.8f}")

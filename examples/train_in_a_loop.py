"""Gradient descent in a Python loop: an enzyme's parameters, learned step by step.

    python examples/train_in_a_loop.py

Michaelis-Menten, vmax / (1 + km / dose), is a chain: w3 sigmoid(log(dose) + b2), with vmax = w3 and
km = exp(-b2); its other parameters are frozen. `net.step` makes one step of gradient descent and
returns the loss before it. The result is compared with that of `cbp.fit`, which needs no loop.
"""

from pathlib import Path

import numpy as np

import cbackprop as cbp

data = Path(__file__).parent / "data" / "puromycin.csv"
dose, rate = np.loadtxt(data, delimiter=",", skiprows=2, unpack=True)
target = rate / 100  # of the size of 1, so that one learning rate suits both parameters

layers = ["log", "sigmoid", "identity"]
net = cbp.Chain([1, 1, 1], [0, 0, 0], layers, frozen=["w1", "b1", "w2", "b3"])
start = net.copy()

print(" steps       loss      vmax        km")
for step in range(1, 3001):
    loss = net.step(dose, target, learning_rate=0.1)
    if step in (1, 10, 100, 300, 1000, 3000):
        vmax, km = 100 * net.weights[2], np.exp(-net.biases[1])
        print(f"{step:6}  {loss:9.6f}  {vmax:8.3f}  {km:8.6f}")

fitted = cbp.fit(start, dose, target)
vmax, km = 100 * fitted.chain.weights[2], np.exp(-fitted.chain.biases[1])
print(f"   fit  {fitted.loss:9.6f}  {vmax:8.3f}  {km:8.6f}  in {fitted.n_iterations} iterations")

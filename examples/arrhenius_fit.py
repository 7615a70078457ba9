"""An activation energy from rates at several temperatures, and the rate at another temperature.

    python examples/arrhenius_fit.py

The rates are simulated: prefactor 2e8 per day, activation energy 70 kJ/mol, errors of 5 % each. For
a constant relative error the weights are 1 / rate^2.
"""

import numpy as np

from cbackprop import curves

celsius = np.repeat([40.0, 50.0, 60.0, 70.0, 80.0], 2)
kelvin = celsius + 273.15
per_day = np.array(
    [4.22e-4, 4.28e-4, 9.56e-4, 9.27e-4, 2.07e-3, 2.02e-3, 4.44e-3, 4.73e-3, 8.65e-3, 8.59e-3]
)
fit = curves.arrhenius.fit(kelvin, per_day, sample_weight=1 / per_day**2)

energy = fit.params["activation_energy"] / 1000
low, high = np.array(fit.confidence_interval()["activation_energy"]) / 1000
print(f"scatter of a rate {100 * fit.residual_sd:.1f} %, simulated with 5 %")
print(f"activation energy {energy:.2f} kJ/mol, 95 % interval {low:.2f} to {high:.2f}; truth 70")

room = fit.predict(298.15, "confidence")
truth = curves.arrhenius(298.15, prefactor=2e8, activation_energy=70e3)
print(
    f"rate at 25 °C {room.value:.3e} per day, "
    f"95 % interval {room.low:.3e} to {room.high:.3e}; truth {truth:.3e}"
)

"""Figure: the heat of one operation of real machines beside the heat of erasing its result (Sec. 2.7)."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import landauer


@dataclass(frozen=True)
class Machine:
    """What one operation costs.

    Args:
        name: For the plot.
        energy: Joules an operation.
        bits: Bits that it erases, the width of a word.
    """

    name: str
    energy: float
    bits: int


MACHINES = (
    Machine("ENIAC, decimal addition", 150e3 / 5000, 33),
    Machine("45 nm, 32-bit float multiplication", 3.7e-12, 32),
    Machine("45 nm, 32-bit integer addition", 0.1e-12, 32),
    Machine("the notes' V100, 16-bit operation", 250 / 1e14, 16),
)
"""ENIAC: 150 kW, 5,000 additions a second, ten decimal digits. 45 nm: arithmetic alone, without fetching its
operands, by Horowitz, "Computing's energy problem" (2014). V100: 250 W and 10^14 a second (Eq. 2.7.6)."""


def measure(machines=MACHINES, temperature=300.0):
    """Returns the energy of an operation, Landauer's limit, and their ratio.

    Args:
        machines: `Machine`s, [M].
        temperature: Temperature in kelvin.

    Returns:
        A dict of arrays [M]: `energy` and `limit` in joules, and their ratio `excess`.
    """
    energy = np.array([machine.energy for machine in machines])
    bits = np.array([machine.bits for machine in machines])
    # A rate of one: the power is then the energy of an operation.
    excess = landauer.excess(energy, 1.0, bits, temperature)
    return {"energy": energy, "limit": landauer.erasure_heat(bits, temperature), "excess": excess}


def draw(machines=MACHINES, temperature=300.0):
    """Draws for every machine its energy, Landauer's limit, and the factor between.

    Args:
        machines: `Machine`s, [M], drawn from top to bottom.
        temperature: Temperature in kelvin.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    found = measure(machines, temperature)
    figure, axes = style.canvas(8.3, 0.9 + 0.55 * len(machines))
    axis, rows = axes[0, 0], np.arange(len(machines))
    axis.hlines(rows, found["limit"], found["energy"], color=style.MUTED, linewidth=1)
    axis.plot(found["energy"], rows, "o", color=style.VERMILION, label="drawn by the machine")
    axis.plot(found["limit"], rows, "D", color=style.BLUE, label=f"Landauer's limit at {temperature:g} K")
    for row, limit, energy, excess in zip(
        rows, found["limit"], found["energy"], found["excess"], strict=True
    ):
        digits, exponent = f"{excess:.0e}".split("e")
        label = rf"$\times\ {digits} \cdot 10^{{{int(exponent)}}}$"
        axis.annotate(label, (np.sqrt(limit * energy), row), (0, 4), textcoords="offset points", ha="center")
    axis.set(xscale="log", xlabel="energy of one operation in joules", xlim=(1e-21, 1e3))
    axis.set(
        yticks=rows, yticklabels=[machine.name for machine in machines], ylim=(len(machines) - 0.5, -0.6)
    )
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure

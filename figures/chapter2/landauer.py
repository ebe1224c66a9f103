"""The energy of one operation of real machines, compared with the heat of erasing its result."""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import landauer
from ..figure import Figure


@dataclass(frozen=True)
class Machine:
    """A machine and the cost of one of its operations.

    Args:
        name: Name in the figure.
        energy: Energy of an operation in joules.
        bits: Number of bits that it erases, the width of a word.
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
"""ENIAC: 150 kW, 5,000 additions per second, ten decimal digits. 45 nm: arithmetic alone, without fetching
the operands, from Horowitz, "Computing's energy problem" (2014). V100: 250 W, 10^14 operations per second
(Eq. 2.7.6)."""


def measure(machines=MACHINES, temperature=300.0):
    """Computes the energy of an operation, Landauer's limit, and their ratio.

    Args:
        machines: `Machine`s, [M].
        temperature: Temperature in kelvin.

    Returns:
        A dict of arrays [M]: `energy` and `limit` in joules, and their ratio `excess`.
    """
    energy = np.array([machine.energy for machine in machines])
    bits = np.array([machine.bits for machine in machines])
    # At a rate of one per second, the power equals the energy of an operation.
    excess = landauer.excess(energy, 1.0, bits, temperature)
    return {"energy": energy, "limit": landauer.erasure_heat(bits, temperature), "excess": excess}


def draw(machines=MACHINES, temperature=300.0):
    """Draws the energy of each machine, Landauer's limit, and the factor between them.

    Args:
        machines: `Machine`s, [M], from top to bottom.
        temperature: Temperature in kelvin.
    """
    result = measure(machines, temperature)
    energies, limits = result["energy"], result["limit"]
    figure, axes = style.canvas(8.3, 0.9 + 0.55 * len(machines))
    axis, rows = axes[0, 0], np.arange(len(machines))
    axis.hlines(rows, limits, energies, color=style.MUTED, linewidth=1)
    axis.plot(energies, rows, "o", color=style.VERMILION, label="energy of the machine")
    axis.plot(limits, rows, "D", color=style.BLUE, label=f"Landauer's limit at {temperature:g} K")
    for row, limit, energy, excess in zip(rows, limits, energies, result["excess"], strict=True):
        digits, exponent = f"{excess:.0e}".split("e")
        label = rf"$\times\ {digits} \cdot 10^{{{int(exponent)}}}$"
        axis.annotate(label, (np.sqrt(limit * energy), row), (0, 4), textcoords="offset points", ha="center")
    axis.set(xscale="log", xlabel="energy of one operation in joules", xlim=(1e-21, 1e3))
    axis.set_yticks(rows, [machine.name for machine in machines])
    axis.set_ylim(len(machines) - 0.5, -0.6)
    axis.grid(axis="y", visible=False)
    style.legend_below(figure)
    return figure


FIGURE = Figure(
    section="2.7",
    name="landauer",
    draw=draw,
    caption=(
        "The energy of one operation of real machines, and the minimum heat of erasing its result (Eqs. "
        "2.7.3 and 2.7.6). The notes' GPU, with 250 W and 10^14 operations per second, is a factor of 5 x "
        "10^7 above the limit; an addition in 45 nm silicon, without fetching the operands, a factor of "
        "10^6."
    ),
)

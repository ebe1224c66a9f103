"""Gradients against the distance that they bridge, and states against time, at initialization (Sec. 5.2).

A network maps inputs x_1, ..., x_T, standard normal, to states h_1, ..., h_T. With v standard normal, the
gradient of v . h_T with respect to x_(T-k) is the memory that is k steps old.

For the ReLU RNN of Eq. 5.2.1 without biases the limit of infinite width is known. It is a deep network whose
layers share one matrix, and whose inputs act as random biases, so with Var(W) = 2 g^2 / H for the weights of
the states and 2 / H for those of the inputs, Sec. 5.1 gives

    <(d/dx_(T-k))^2> = g^(2k) <(d/dx_T)^2>,        <h_t^2> = g^2 <h_(t-1)^2> + 1.

An LSTM multiplies its cell by the forget gates alone. Without the paths through the other gates the gradient
falls as sigmoid(b)^(2k) for the forget bias b.

Legend: B batch, H units and input features, N networks, T time steps.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from scipy.special import expit

from ... import layers
from ...publishing.page import style
from ...theory import propagation as theory
from ..figure import Figure

WIDTH, STEPS = 128, 64


@dataclass(frozen=True)
class Scheme:
    """A network at initialization.

    Args:
        label: Label in the figure.
        layers: Function from the width H to a list of layers, [B, T, H] to [B, T, H].
        color: Color of the curve.
        marker: Marker of the points.
        gain: Gain g of a ReLU RNN; `None` for other networks.
        forget_bias: Forget bias b of an LSTM; `None` for other networks.
    """

    label: str
    layers: Callable
    color: str
    marker: str
    gain: float | None = None
    forget_bias: float | None = None

    def gradient_theory(self, width, steps):
        """Returns the second moment of the gradient at distances 0 to T - 1, relative to distance 0, [T].

        Args:
            width: Width H.
            steps: Number T of time steps.

        Returns:
            The limit of infinite width for a ReLU RNN, the product of the forget gates for an LSTM, `None`
            for other networks.
        """
        if self.gain is not None:
            variance = theory.weight_variance([width] * steps, "fan_in", self.gain)
            return theory.gradient_second_moment([width] * steps, variance)[::-1]
        return None if self.forget_bias is None else expit(self.forget_bias) ** (2 * np.arange(steps))

    def state_theory(self, width, steps):
        """Returns <h_t^2> for t = 1, ..., T in the limit of infinite width, [T]; `None` if it is not known.

        Args:
            width: Width H.
            steps: Number T of time steps.
        """
        if self.gain is None:
            return None
        variance = theory.weight_variance([width] * (steps + 1), "fan_in", self.gain)
        return theory.forward_second_moment([width] * (steps + 1), variance, inputs=0.0, bias_variance=2.0)[
            1:
        ]


@dataclass(frozen=True)
class Measurement:
    """Second moments of the networks of one scheme.

    Args:
        scheme: The `Scheme`.
        gradients: Mean squared gradients at distances 0 to T - 1, relative to distance 0, [N, T].
        states: Mean squared states at times 1 to T, [N, T].
        gradient_theory: `Scheme.gradient_theory`.
        state_theory: `Scheme.state_theory`.
    """

    scheme: Scheme
    gradients: np.ndarray
    states: np.ndarray
    gradient_theory: np.ndarray | None
    state_theory: np.ndarray | None


def _relu(gain, color, marker, label=None):
    def build(width):
        recurrent = keras.initializers.Orthogonal(gain=2**0.5 * gain)
        inputs = keras.initializers.RandomNormal(stddev=(2 / width) ** 0.5)
        return [layers.ReLURNN(width, inputs, recurrent)]

    return Scheme(label or f"ReLU RNN, $g$ = {gain}", build, color, marker, gain=gain)


def _lstm(forget_bias, color, marker):
    def initial_bias(shape, dtype=None):
        units = shape[0] // 4
        return ops.concatenate([ops.full((units,), value, dtype) for value in (0, forget_bias, 0, 0)])

    def build(width):
        return [layers.LSTM(width, unit_forget_bias=False, bias_initializer=initial_bias)]

    return Scheme(f"LSTM, forget bias {forget_bias}", build, color, marker, forget_bias=forget_bias)


def _transformer(width, blocks=2, heads=4):
    block = {"heads": heads, "causal": True, "rotary": True, "use_bias": False}
    return [*(layers.TransformerBlock(**block) for _ in range(blocks)), layers.layer_normalization()]


SCHEMES = {
    "too_large": _relu(1.1, style.INK, "^"),
    "critical": _relu(1, style.BLUE, "o"),
    "too_small": _relu(0.9, style.SKY, "v"),
    "default": _relu(2**-0.5, style.MUTED, "s", r"ReLU RNN, $g = 1/\sqrt{2}$ (default)"),
    "lstm": _lstm(1, style.ORANGE, "D"),
    "lstm_long": _lstm(5, style.VERMILION, "P"),
    "layer_norm_lstm": Scheme(
        "layer-norm LSTM, forget bias 1", lambda width: [layers.LayerNormLSTM(width)], style.PURPLE, "X"
    ),
    "transformer": Scheme("Transformer, 2 blocks", _transformer, style.GREEN, "*"),
}


def measure(scheme, width=WIDTH, steps=STEPS, networks=6, batch_size=8):
    """Measures gradients and states of random networks.

    Args:
        scheme: A `Scheme`.
        width: Width H of states and inputs.
        steps: Number T of time steps.
        networks: Number N of networks, with seeds 0, 1, ...
        batch_size: Number B of sequences for each network.

    Returns:
        A `Measurement`.
    """

    def build():
        return keras.Sequential([keras.Input((steps, width)), *scheme.layers(width)])

    # One graph serves the weights of all networks.
    network = build()
    moments = tf.function(functools.partial(second_moments, network))
    states, gradients = [], []
    for seed in range(networks):
        keras.utils.set_random_seed(seed)
        network.set_weights(build().get_weights())
        x = tf.random.normal([batch_size, steps, width])
        v = tf.random.normal([batch_size, width])
        of_states, of_gradients = moments(x, v)
        states.append(of_states.numpy())
        gradients.append(of_gradients.numpy()[::-1])
    gradients = np.array(gradients, np.float64)
    return Measurement(
        scheme,
        gradients / gradients[:, :1],
        np.array(states, np.float64),
        scheme.gradient_theory(width, steps),
        scheme.state_theory(width, steps),
    )


def second_moments(network, x, v):
    """Returns <h_t^2> and <(d(v . h_T)/dx_t)^2> by time, averaged over examples and features, [T] each.

    Args:
        network: Function from inputs [B, T, H] to states [B, T, H].
        x: Inputs, [B, T, H].
        v: Gradient at the last state, [B, H].
    """
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        states = network(x)
        loss = tf.reduce_sum(states[:, -1] * v)
    gradient = tape.gradient(loss, x)
    return tuple(tf.reduce_mean(tf.square(moment), axis=(0, 2)) for moment in (states, gradient))


def table(measurements):
    """Returns the header and the rows of the table: gradients at four distances.

    Args:
        measurements: A `Measurement` for each row.
    """
    last = measurements[0].gradients.shape[1] - 1
    distances = [1, last // 8, last // 2, last]
    header = ("network", *(f"distance {k}" for k in distances), f"theory at {last}")
    rows = []
    for m in measurements:
        line = _typical(m.gradients)
        predicted = "" if m.gradient_theory is None else f"{m.gradient_theory[last]:.1e}"
        rows.append((m.scheme.label.replace("$", ""), *(f"{line[k]:.1e}" for k in distances), predicted))
    return header, rows


def plot(measurements, every=3):
    """Draws gradients against distance (left) and states against time (right).

    Args:
        measurements: A `Measurement` for each curve.
        every: Distance between points.
    """
    figure, axes = style.canvas(8.3, 5.2, columns=2)
    left, right = axes[0]
    for m in measurements:
        steps = m.states.shape[1]
        _draw(left, np.arange(steps), m.gradients, m.gradient_theory, m.scheme, every)
        _draw(right, np.arange(1, steps + 1), m.states, m.state_theory, m.scheme, every)
    left.set(yscale="log", xlabel="distance $k = T - t$", ylim=(1e-12, 1e7))
    left.set_ylabel(r"$\langle (\partial/\partial x_{T-k})^2 \rangle$ relative to $k = 0$")
    right.set(yscale="log", xlabel="time $t$", ylabel=r"second moment $\langle h_t^2 \rangle$")
    for axis, title in ((left, "Gradients"), (right, "States")):
        axis.set_title(title, loc="left", fontsize=11)
    style.legend_below(
        figure, columns=3, title="points measured, lines theory, shades the range of the networks"
    )
    return figure


def draw():
    """Measures all schemes, draws them, and returns the table, too."""
    measurements = [measure(scheme) for scheme in SCHEMES.values()]
    return plot(measurements), table(measurements)


def _typical(moments):
    """Returns the geometric mean over networks: the largest of them would dominate the mean."""
    return np.exp(np.mean(np.log(moments), axis=0))


def _draw(axis, x, moments, theory_line, scheme, every):
    look = {"color": scheme.color, "marker": scheme.marker, "markersize": 4, "linestyle": "none"}
    axis.fill_between(x, moments.min(0), moments.max(0), color=scheme.color, alpha=0.15, linewidth=0)
    axis.plot(x[::every], _typical(moments)[::every], label=scheme.label, **look)
    if theory_line is not None:
        line = "-" if scheme.forget_bias is None else "--"
        axis.plot(x, theory_line, line, color=scheme.color, linewidth=1)


FIGURE = Figure(
    section="5.2",
    name="memory_over_time",
    draw=draw,
    caption=(
        "Memory at initialization: the gradient of the last state with respect to earlier inputs (left), and "
        "the states (right). All networks are 128 wide; points are geometric means over six of them. A ReLU "
        "RNN (Eq. 5.2.1), here with orthogonal weights times g√2, multiplies the mean squared gradient by g² "
        "in each step (solid lines: infinite width), so that it vanishes or explodes, and even at g = 1 "
        "networks differ by orders of magnitude. The cell of an LSTM passes through forget gates only "
        "(dashed: their product), and the forget bias sets how fast it forgets: within a few steps at 1, "
        "hardly at 5, where the paths through the states add to the gradient instead. Layer norm fixes the "
        "scale of the states, not that of the gradients. A Transformer reaches all distances in the same two "
        "steps of depth: beyond its own position, its gradients hardly depend on the distance."
    ),
)

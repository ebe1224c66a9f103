"""Numbers that are none, complex numbers, and Booleans in place of numbers are refused by name."""

import numpy as np
import pytest

from curvezoo.theory import (
    counting,
    cumulants,
    differentiation,
    fisher,
    information,
    landauer,
    noise_scale,
    plug_in,
    quadrature,
    rmsprop,
)

NAN, LAYER = np.nan, counting.dense(2, 3)


def two_layers(**changed):
    x, w1, b1, w2, b2 = np.ones(4), np.ones((3, 4)), np.ones(3), np.ones((2, 3)), np.ones(2)
    return differentiation.two_layer_derivatives(
        **{"x": x, "w1": w1, "b1": b1, "w2": w2, "b2": b2, "phi": np.tanh, "phi_prime": np.cos, **changed}
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: information.in_base(NAN), "nats must be finite, got nan"),
        (lambda: information.in_base([1.0, NAN], 2), r"nats\[1\] must be finite, got nan"),
        (lambda: information.in_base("1", 2), "nats must hold real numbers"),
        (lambda: information.in_base(1 + 1j), "nats must hold real numbers"),
        (lambda: information.in_base(True, 2), "nats must hold real numbers .*, got bool"),
        (lambda: noise_scale.measured_ratio(1.0, NAN), "noise must be finite, got nan"),
        (lambda: noise_scale.measured_ratio(NAN, 1.0), "signal must be finite, got nan"),
        (lambda: noise_scale.measured_ratio(1j, 1.0), "signal must hold real numbers"),
        (lambda: noise_scale.ratio_error(1.0, 1.0, 1.0, NAN, 0.0), "noise_variance must be finite"),
        (lambda: noise_scale.ratio_error(-1.0, 1.0, 1.0, 1.0, NAN), "covariance must be finite"),
        (lambda: differentiation.resolution(NAN, 1e-5), "value must be a finite number, got nan"),
        (lambda: differentiation.resolution(1.0, [1e-5, NAN]), r"epsilon\[1\] must be finite"),
        (lambda: differentiation.resolution(1.0, 0.0), "epsilon must be positive"),
        (
            lambda: differentiation.optimal_step(np.inf, 1.0, order=1),
            "value must be a finite number, got inf",
        ),
        (lambda: differentiation.optimal_step(1.0, NAN, order=2), "derivative must be a finite number"),
        (lambda: differentiation.optimal_step(1.0, 1.0, order=True), "order must be one of 1, 2, got True"),
        (lambda: differentiation.difference_error(1e-5, 1j, 1.0, order=1), "value must be a finite number"),
        (lambda: differentiation.difference_error(1e-5, 1.0, NAN, order=2), "derivative must be a finite"),
        (lambda: differentiation.require_tolerance("1"), "tolerance must be a positive finite number"),
        (
            lambda: differentiation.forward_difference(np.sum, [1.0], [1e-8]),
            r"epsilon must be a number, got shape \(1,\)",
        ),
        (lambda: differentiation.complex_step(np.sum, [1.0], NAN), "epsilon must be finite"),
        (
            lambda: differentiation.gradient_check(np.sum, np.ones_like, [1.0], analytic=NAN),
            "analytic must be True or False, got nan",
        ),
        (lambda: two_layers(b1=[1.0, NAN, 1.0]), r"b1\[1\] must be finite"),
        (lambda: two_layers(w2=np.full((2, 3), np.inf)), r"w2\[0, 0\] must be finite"),
        (lambda: two_layers(x=1j * np.ones(4)), "x must hold real numbers"),
        (lambda: two_layers(w1=np.ones((3, 5))), r"w1 must have shape \(3, 4\)"),
        (lambda: cumulants.groupings(NAN), "order must be an integer of at least 0, got nan"),
        (lambda: counting.matrix_product(NAN, 2, 2), "rows must be an integer of at least 0, got nan"),
        (lambda: counting.matrix_product(1, 2, "2"), "columns must be an integer of at least 0"),
        (lambda: counting.dense(2, 3, bias=NAN), "bias must be True or False, got nan"),
        (lambda: counting.dense(2, NAN), "outputs must be an integer of at least 1, got nan"),
        (lambda: counting.dense(2, True), "outputs must be an integer of at least 1, got True"),
        (lambda: counting.network([LAYER], data_gradient=NAN), "data_gradient must be True or False"),
        (lambda: counting.convolution((4, 4), 1, 1, 3, count_padding=None), "count_padding must be True"),
        (lambda: counting.convolution((4, 4), 1, 1, 2.5), "kernel must be an integer of at least 1, got 2.5"),
        (lambda: counting.self_attention(8, 2, bias=2), "bias must be True or False, got 2"),
        (lambda: counting.self_attention(8, 2, cached=NAN), "cached must be an integer of at least 0"),
        (lambda: counting.self_attention(8, 2, count_masked=None), "count_masked must be True or False"),
        (lambda: counting.layer_norm(8, bias=NAN), "bias must be True or False"),
        (lambda: counting.lstm(2, 3, bias=NAN), "bias must be True or False"),
        (lambda: counting.unembedding(2, 3, tied=NAN), "tied must be True or False"),
        (lambda: landauer.addition_entropy(4, wraps=NAN), "wraps must be True or False"),
        (lambda: fisher.jacobian(np.sin, [1.0], analytic=NAN), "analytic must be True or False"),
        (lambda: fisher.jacobian(np.sin, [1.0], unit=NAN), "unit must be a positive number or inf, got nan"),
        (lambda: plug_in.entropy([2, 1], corrected=NAN), "corrected must be True or False"),
        (lambda: plug_in.kl_divergence([2, 1], [1, 2], corrected=None), "corrected must be True or False"),
        (lambda: rmsprop.second_moments([1.0], 0.5, correct=NAN), "correct must be True or False"),
        (lambda: quadrature.normalized(np.exp, ("0", "1")), "support must be an increasing pair of numbers"),
        (lambda: quadrature.normalized(np.exp, [0j, 1 + 0j]), "support must be an increasing pair"),
    ],
)
def test_values_that_are_not_numbers_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_infinite_amounts_of_information_keep_their_base():
    assert information.in_base(np.inf, 2) == np.inf
    assert information.in_base(-np.inf) == -np.inf
    np.testing.assert_array_equal(information.in_base([np.inf, np.log(4)], 2), [np.inf, 2.0])

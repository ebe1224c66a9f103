"""Oracles: enumeration of all inputs, Python's integers, and the SI value of Boltzmann's constant."""

from math import log

import numpy as np
import pytest
from scipy.stats import entropy

from curvezoo.theory import landauer

# Exact by the definition of the kelvin, in J/K.
BOLTZMANN = 1.380649e-23


def all_pairs(bits):
    """Returns all pairs of words of k bits."""
    x, y = np.indices((2**bits, 2**bits)).reshape(2, -1)
    return x, y


@pytest.mark.equation("2.7.1")
@pytest.mark.equation("2.7.8")
def test_the_notes_sum_is_reversible_if_one_summand_is_kept():
    x, total = landauer.add_reversibly(58, 23, 16)
    assert (int(x), int(total)) == (58, 81)
    assert tuple(map(int, landauer.undo_addition(58, 81, 16))) == (58, 23)


def test_the_default_width_of_a_word_will_be_that_of_computations():
    with pytest.warns(FutureWarning, match="bits is 16 by default, and will be 32 in the next version"):
        assert landauer.add_reversibly(2**16 - 1, 1)[1] == 0
    with pytest.warns(FutureWarning, match="bits is 16"):
        assert landauer.undo_addition(1, 0)[1] == 2**16 - 1
    assert landauer.computation_heat(1.0) == landauer.computation_heat(1.0, bits=32)


@pytest.mark.equation("2.7.2")
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_addition_erases_k_log_2_only_modulo_the_word_size(bits):
    x, y = all_pairs(bits)
    for total, wraps in (((x + y) % 2**bits, True), (x + y, False)):
        counted = 2 * bits * log(2) - entropy(np.bincount(total))
        assert landauer.addition_entropy(bits, wraps) == pytest.approx(counted, rel=1e-13)
        assert landauer.erased_entropy(total) == pytest.approx(counted, rel=1e-12)
    assert landauer.addition_entropy(bits, True) == pytest.approx(bits * log(2), rel=1e-15)
    assert landauer.addition_entropy(bits, False) < bits * log(2) - 0.3


@pytest.mark.equation("2.7.2")
def test_exact_addition_of_16_bits_erases_half_a_nat_less_than_printed():
    erased = landauer.addition_entropy(16, wraps=False)
    assert 16 * log(2) - erased == pytest.approx(0.5, abs=1e-8)
    # From 17 bits on the function uses a series in place of the sum.
    m = 2.0**17
    j = np.arange(1, m)
    summed = (2 * np.sum(j * np.log(j)) + m * log(m)) / m**2
    assert landauer.addition_entropy(17, wraps=False) == pytest.approx(summed, abs=1e-13)


@pytest.mark.equation("2.7.7")
@pytest.mark.parametrize("bits", [1, 3, 6])
def test_keeping_a_summand_makes_addition_a_bijection_of_the_registers(bits):
    x, y = all_pairs(bits)
    images = np.stack(landauer.add_reversibly(x, y, bits), axis=1)
    assert len(np.unique(images, axis=0)) == 4**bits
    assert images.max() == 2**bits - 1
    assert landauer.erased_entropy(images) == 0.0
    np.testing.assert_array_equal(landauer.undo_addition(*images.T, bits), (x, y))
    # The sum alone is not reversible: 2^k pairs give each value.
    assert np.all(np.bincount(images[:, 1].astype(int)) == 2**bits)


@pytest.mark.equation("2.7.7")
@pytest.mark.parametrize("bits", [16, 63, 64])
def test_sums_of_wide_words_match_pythons(bits):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2**bits, (2, 50), dtype=np.uint64, endpoint=False)
    _, total = landauer.add_reversibly(x, y, bits)
    assert [int(t) for t in total] == [(int(a) + int(b)) % 2**bits for a, b in zip(x, y, strict=True)]
    np.testing.assert_array_equal(landauer.undo_addition(x, total, bits)[1], y)


def test_lists_of_64_bit_words_are_exact():
    # NumPy turns a list of integers below and above 2^63 into floats, which makes the first two equal.
    words = [2**64 - 1, 2**64 - 2, 0]
    assert landauer.add_reversibly(words, 1, 64)[1].tolist() == [0, 2**64 - 1, 1]
    assert landauer.erased_entropy(words) == 0.0


def test_erased_entropy_is_the_conditional_entropy_of_the_inputs():
    p = np.array([0.5, 0.2, 0.0, 0.3])
    # The third input is impossible, so the output b leaves the second and the fourth input possible.
    expected = 0.5 * entropy([0.2, 0.3])
    assert landauer.erased_entropy(["a", "b", "a", "b"], p) == pytest.approx(expected, rel=1e-14)
    assert landauer.erased_entropy([7, 7, 7, 7], p) == pytest.approx(entropy(p), rel=1e-14)
    # Inputs that never occur may share an output.
    assert landauer.erased_entropy([1, 2, 1, 3], p) == 0.0


@pytest.mark.parametrize("shape", [(50,), (50, 2), (50, 3)])
def test_arrays_of_numbers_erase_the_entropy_of_the_same_lists(shape):
    rng = np.random.default_rng(0)
    outputs, p = rng.integers(-2, 3, shape), rng.dirichlet(np.ones(50))
    expected = landauer.erased_entropy(outputs.tolist(), p)
    groups = np.unique(outputs.reshape(50, -1), axis=0, return_inverse=True)[1].ravel()
    assert expected == pytest.approx(entropy(p) - entropy(np.bincount(groups, p)), rel=1e-12)
    for array in (outputs, outputs / 3, outputs.astype(np.int8)):
        assert landauer.erased_entropy(array, p) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64])
def test_words_may_have_any_integer_dtype(dtype):
    x, y = np.array([0, 3, 127], dtype), np.array([[1], [126]], dtype)
    ours = landauer.add_reversibly(x, y, 7)[1]
    assert ours.dtype == np.uint64
    np.testing.assert_array_equal(ours, (x.astype(int) + y.astype(int)) % 128)
    np.testing.assert_array_equal(landauer.add_reversibly(x.tolist(), y.tolist(), 7)[1], ours)


@pytest.mark.equation("2.7.3")
def test_one_addition_of_16_bits_produces_5e_20_joules():
    heat = landauer.erasure_heat(16, 300.0)
    assert heat == pytest.approx(BOLTZMANN * 300 * 16 * log(2), rel=1e-12)
    assert f"{heat:.0e}" == "5e-20"
    assert heat == pytest.approx(4.594e-20, rel=1e-4)


@pytest.mark.equation("2.7.5")
def test_training_alphago_zero_dissipates_at_least_9200_joules_and_not_8000():
    heat = landauer.computation_heat(1e23, 32, 300.0)
    assert heat == pytest.approx(BOLTZMANN * 300 * 32 * log(2) * 1e23, rel=1e-12)
    assert heat == pytest.approx(9187, rel=1e-3)
    # The printed number is that of 261 K.
    assert 260 < 300 * 8000 / heat < 262


@pytest.mark.equation("2.7.6")
def test_1e14_operations_of_16_bits_per_second_need_5e_6_watts_and_not_1e_5():
    power = landauer.minimal_power(1e14, 16, 300.0)
    assert power == pytest.approx(1e14 * BOLTZMANN * 300 * 16 * log(2), rel=1e-12)
    assert power == pytest.approx(4.594e-6, rel=1e-4)
    # The printed power is that of 32 bits; the notes' conclusion is the same for both.
    assert f"{landauer.minimal_power(1e14, 32, 300.0):.0e}" == "9e-06"
    assert landauer.excess(250.0, 1e14, 16, 300.0) == pytest.approx(5.44e7, rel=1e-3)
    assert landauer.excess(250.0, 1e14, 32, 300.0) == pytest.approx(2.72e7, rel=1e-3)


def test_heat_is_proportional_to_bits_and_temperature():
    heat = landauer.erasure_heat([0.0, 1.0, 2.0], [[1.0], [300.0]])
    assert heat.shape == (2, 3)
    np.testing.assert_allclose(heat[1], 300 * heat[0], rtol=1e-15)
    assert heat[0, 1] == pytest.approx(BOLTZMANN * log(2), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: landauer.erasure_heat([1.0, -2.0]), r"bits\[1\] must not be negative, got -2"),
        (lambda: landauer.erasure_heat(1, [300.0, 0.0]), r"temperature\[1\] must be positive, got 0"),
        (lambda: landauer.erasure_heat(np.nan), "bits must be finite, got nan"),
        (lambda: landauer.computation_heat(-1.0), "operations must not be negative"),
        (lambda: landauer.minimal_power(np.inf), "rate must be finite"),
        (lambda: landauer.excess(250.0, 0.0), "rate must be positive, got 0"),
        (lambda: landauer.excess(0.0, 1e14), "power must be positive"),
        (lambda: landauer.erased_entropy([]), "outputs must have shape"),
        (lambda: landauer.erased_entropy(None), "outputs must have shape"),
        (
            lambda: landauer.erased_entropy([0.0, np.nan]),
            r"outputs\[1\] must be a number or a str.*, got nan",
        ),
        (lambda: landauer.erased_entropy([1, None]), r"outputs\[1\] must be a number or a string, got None"),
        (lambda: landauer.erased_entropy([[1], [1, 2]]), r"outputs\[0\] must be a number or a string"),
        (lambda: landauer.erased_entropy([1, 2], [0.5, 0.6]), "probabilities must sum to 1"),
        (lambda: landauer.erased_entropy([1, 2], [1.0]), r"probabilities must have shape \(2,\), got \(1,\)"),
        (lambda: landauer.addition_entropy(0), "bits must be an integer of at least 1, got 0"),
        (
            lambda: landauer.add_reversibly([3, 16], [1, 1], 4),
            r"x\[1\] must be an integer in 0 .* 15, got 16",
        ),
        (
            lambda: landauer.add_reversibly(np.array([3, 16]), np.array([1, 1]), 4),
            r"x\[1\] must be an integer in 0 .* 15, got 16",
        ),
        (lambda: landauer.add_reversibly(np.array([True]), 1, 4), r"x\[0\] must be an integer in 0 ... 15"),
        (
            lambda: landauer.erased_entropy(np.array([0, np.nan])),
            r"outputs\[1\] must be a number .*, got nan",
        ),
        (lambda: landauer.add_reversibly(1, -1, 4), "y must be an integer in 0 ... 15, got -1"),
        (lambda: landauer.add_reversibly(1.0, 1, 4), "x must be an integer in 0 ... 15, got 1.0"),
        (lambda: landauer.undo_addition(1, 4, 2), "total must be an integer in 0 ... 3, got 4"),
        (lambda: landauer.undo_addition(True, 1, 2), "x must be an integer in 0 ... 3, got True"),
        (lambda: landauer.add_reversibly([1, 2], [1, 2, 3], 4), r"got x \(2,\), y \(3,\)"),
        (lambda: landauer.erasure_heat([1, 2], [1, 2, 3]), r"got bits \(2,\), temperature \(3,\)"),
        (
            lambda: landauer.computation_heat([1, 2, 3], [1, 2]),
            r"got operations \(3,\), bits \(2,\), temperature \(\)",
        ),
        (lambda: landauer.minimal_power([1, 2, 3], [1, 2]), r"got rate \(3,\), bits \(2,\)"),
        (lambda: landauer.excess([1, 2, 3], [1, 2]), r"got power \(3,\), rate \(2,\)"),
        (lambda: landauer.add_reversibly(1, 1, 65), "bits must be an integer from 1 to 64, got 65"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()

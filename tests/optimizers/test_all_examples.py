"""Data that are read in several passes: those that change are refused, unless only their order does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers import fit_lbfgs
from curvezoo.optimizers.all_examples import checked
from curvezoo.optimizers.curvature import Fisher, Hessian

N = 23
X = np.random.default_rng(0).normal(size=(N, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [0.5]] + 0.1 * X[:, :1] ** 2).astype("float32")


def examples():
    return tf.data.Dataset.from_tensor_slices((X, Y))


def augmented():
    # Random operations of a dataset repeat themselves in every pass if a global seed is set.
    generator = tf.random.Generator.from_seed(1)
    return examples().batch(5).map(lambda x, y: (x + generator.normal(tf.shape(x)), y))


CHANGING = {
    "dropped": lambda: examples().shuffle(N).batch(5, drop_remainder=True),
    "augmented": augmented,
    "sampled": lambda: examples().shuffle(N).take(N - 1).batch(5),
}


@pytest.mark.parametrize("name", CHANGING)
def test_data_that_change_from_pass_to_pass_are_refused(name):
    message = "data must have the same examples in every pass, .* augmentation, and shuffle .*drop_remainder"
    with pytest.raises(ValueError, match=message):
        checked(CHANGING[name]())
    checked(CHANGING[name]().cache())


UNSUITABLE = {
    "targets": (X, np.zeros((N, 2)), r"inputs of shape \[N, 3\] and targets of shape \[N, 2\]: .* \[7,3\]$"),
    "inputs": (X[:, :2], Y, r"inputs of shape \[N, 2\] .* expected axis -1 .* received .* shape \(7, 2\)$"),
    "words": (
        X,
        np.full(N, "cat"),
        r"inputs .* and targets of shape \[N\]: Cast string to float is not supported$",
    ),
}


@pytest.mark.parametrize(
    ("made", "name"),
    [(Hessian, name) for name in UNSUITABLE] + [(fit_lbfgs, name) for name in UNSUITABLE if name != "none"],
)
def test_data_that_do_not_suit_the_model_or_its_loss_are_refused(made, name):
    x, y, message = UNSUITABLE[name]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="data must suit the model and the loss, got " + message):
        made(model, (x, y))


@pytest.mark.parametrize("targets", [None, np.zeros((N, 2))])
def test_the_fisher_matrix_needs_no_targets(targets):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with_labels = Fisher(model, (X, np.zeros(N, "int32"))).dense()
    np.testing.assert_array_equal(Fisher(model, (X, targets)).dense(), with_labels)


def test_an_order_that_changes_is_refused_only_where_it_matters():
    shuffled = examples().shuffle(N).batch(5)
    assert checked(shuffled) is shuffled
    with pytest.raises(ValueError, match="data must have the same examples in the same order in every pass"):
        checked(shuffled, ordered=True)
    fixed = examples().shuffle(N, reshuffle_each_iteration=False).batch(5)
    assert checked(fixed, ordered=True) is fixed


def test_ragged_examples_are_compared_to_their_last_entry():
    passes = iter(range(4))

    def batches():
        yield tf.ragged.constant([[1.0], [2.0, float(next(passes))]]), tf.zeros(2)

    signature = tf.RaggedTensorSpec([2, None], tf.float32), tf.TensorSpec([2])
    with pytest.raises(ValueError, match="data must have the same examples in every pass"):
        checked(tf.data.Dataset.from_generator(batches, output_signature=signature))


def test_a_generator_is_refused_with_what_to_do():
    for once in ((batch for batch in [(X, Y)]), iter([(X, Y)])):
        message = "data must be readable several times, got a (list_iterator|generator).* join its batches"
        with pytest.raises(ValueError, match=message):
            checked(once)


def model():
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    network.compile(loss="mse")
    return network


def test_operators_and_full_batch_optimizers_refuse_them():
    for user in (
        lambda: Hessian(model(), CHANGING["dropped"]()),
        lambda: fit_lbfgs(model(), CHANGING["augmented"](), verbose=False),
        lambda: fit_lbfgs(model(), examples().shuffle(N).batch(5), training=True, verbose=False),
        lambda: Fisher(model(), examples().shuffle(N).batch(5), samples=1),
    ):
        with pytest.raises(ValueError, match="data must have the same examples"):
            user()


class Batches(keras.utils.PyDataset):
    """Batches of five; a third entry only if there are weights."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return -(-N // 5)

    def __getitem__(self, index):
        return tuple(array[5 * index : 5 * index + 5] for array in self.arrays)


def test_a_py_dataset_gives_the_hessian_and_the_minimum_of_its_arrays():
    weights = np.linspace(0.5, 1.5, N).astype("float32")
    network = model()
    expected = Hessian(network, (X, Y, weights)).dense()
    np.testing.assert_allclose(Hessian(network, Batches(X, Y, weights)).dense(), expected, rtol=1e-5)
    fit_lbfgs(network, Batches(X, Y), verbose=False)
    design = np.hstack([X, np.ones((N, 1))]).astype("float64")
    solution = np.linalg.lstsq(design, Y.astype("float64"), rcond=None)[0].ravel()
    np.testing.assert_allclose(
        np.concatenate([w.ravel() for w in network.get_weights()]), solution, atol=1e-4
    )


def test_a_py_dataset_of_another_form_is_refused():
    with pytest.raises(ValueError, match=r"data must have batches \(x, y\) or .* got tuple"):
        checked(Batches(X))


def test_the_message_about_lists_is_short_and_says_what_to_do():
    rows = [[1.0, 2.0, 3.0]] * 6000
    with pytest.raises(ValueError, match=r"convert lists of numbers with numpy\.asarray") as error:
        checked((rows, rows))
    assert len(str(error.value)) < 200

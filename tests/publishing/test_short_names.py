"""Oracle: the same SavedModel with its own names."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from curvezoo.publishing.short_names import shorten


class Module(tf.Module):
    """A function with an argument that has a short name, a loop, a branch, an assertion and a variable."""

    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0)

    @tf.function(input_signature=[tf.TensorSpec((None,), name="n0"), tf.TensorSpec((), tf.int32)])
    def power(self, n0, exponent):
        with tf.name_scope("a_scope_with_a_very_long_name_indeed"):
            self.calls.assign_add(1)
            tf.debugging.assert_greater(exponent, -1)
            result = tf.ones_like(n0)
            for _ in tf.range(exponent):
                result *= n0
            # The inner function captures a tensor of this one.
            result = tf.function(lambda x: x + 0 * result)(tf.ones_like(n0)) - 1 + result
            return {
                "result": tf.cond(exponent > 1, lambda: result, lambda: result + 0.0),
                "calls": self.calls,
            }


def test_functions_with_short_names_compute_the_same(tmp_path):
    tf.saved_model.save(Module(), str(tmp_path))
    size = (tmp_path / "saved_model.pb").stat().st_size
    shorten(tmp_path)
    assert (tmp_path / "saved_model.pb").stat().st_size < size
    model = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    functions = model.meta_graphs[0].graph_def.library.function
    for function in functions:
        names = [node.name for node in function.node_def]
        assert not any("a_scope" in name for name in names)
        names += [argument.name for argument in function.signature.input_arg]
        assert len(set(names)) == len(names)
    loaded = tf.saved_model.load(str(tmp_path))
    for exponent, calls in ((0, 1), (1, 2), (3, 3)):
        outputs = loaded.power(tf.constant([2.0, 3.0]), exponent)
        np.testing.assert_array_equal(outputs["result"], [2.0**exponent, 3.0**exponent])
        assert int(outputs["calls"]) == calls
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.power(tf.constant([2.0]), -1)

"""Published models run in ONNX Runtime and LiteRT with the golden outputs of their SavedModels."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import zoo
from curvezoo.publishing import cards, saved_model

PUBLISHED = [name for name in zoo.names() if zoo.describe(name)["trained"]]
# A generator of images has no forward pass, but a decoder. These endpoints draw nothing at random; those that
# sample, write or act stay with TensorFlow.
ENDPOINTS = {name: "serve" for name in PUBLISHED} | dict.fromkeys(("dcgan_mnist", "infogan_mnist"), "decode")
ERFC = "the exact GELU is TensorFlow's Erfc"
LOOPS = "a recurrent layer is a loop over a list of tensors"
NATS = "the log-likelihood is TensorFlow's SparseSoftmaxCrossEntropyWithLogits"
ERFINV = "the normal quantile is TensorFlow's Erfinv"
UNSUPPORTED_ONNX = {
    "transformer_text": ERFC,
    "transformer_shakespeare": ERFC,
    "rnn_shakespeare": LOOPS,
    "lstm_shakespeare": LOOPS,
    "realnvp_mnist": ERFINV,
}
UNSUPPORTED_LITERT = {
    "pixelcnn_mnist": NATS,
    "rnn_shakespeare": LOOPS,
    "lstm_shakespeare": LOOPS,
    "realnvp_mnist": ERFINV,
}


# One model for each reason, since a large graph takes seconds.
REFUSED_BY_ONNX = sorted({reason: name for name, reason in UNSUPPORTED_ONNX.items()}.values())
REFUSED_BY_LITERT = sorted({reason: name for name, reason in UNSUPPORTED_LITERT.items()}.values())


def test_only_published_models_are_listed_as_unsupported():
    assert {*UNSUPPORTED_ONNX, *UNSUPPORTED_LITERT} < set(PUBLISHED)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in UNSUPPORTED_ONNX])
def test_onnx_runtime_reproduces_the_golden_outputs(name):
    session = onnx_session(name)
    feeds, outputs = golden(name)
    assert {node.name for node in session.get_inputs()} == feeds.keys()
    found = dict(zip([node.name for node in session.get_outputs()], session.run(None, feeds), strict=True))
    compare(found, outputs)


@pytest.mark.parametrize("name", REFUSED_BY_ONNX)
def test_models_listed_as_unsupported_do_not_convert_to_onnx(name):
    with pytest.raises(Exception, match=r"Erfc|Erfinv|Invalid tensor data type"):
        onnx_session(name)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in UNSUPPORTED_LITERT])
def test_litert_reproduces_the_golden_outputs(name):
    runner = litert_runner(name)
    feeds, outputs = golden(name)
    assert runner.get_input_details().keys() == feeds.keys()
    compare(runner(**feeds), outputs)


@pytest.mark.parametrize("name", REFUSED_BY_LITERT)
def test_models_listed_as_unsupported_do_not_convert_to_litert(name):
    with pytest.raises(Exception, match=r"Erfinv|tensor list|SparseSoftmaxCrossEntropyWithLogits"):
        litert_runner(name)


def golden(name):
    """Returns the golden inputs by name, and the outputs."""
    inputs, outputs = saved_model.golden(cards.folder_of(name), ENDPOINTS[name])
    [endpoint] = getattr(plain(name), ENDPOINTS[name]).concrete_functions
    names = [spec.name for spec in endpoint.structured_input_signature[0]]
    return dict(zip(names, inputs, strict=True)), outputs


@functools.cache
def plain(name):
    """The SavedModel as plain TensorFlow reads it."""
    return tf.saved_model.load(str(cards.folder_of(name)))


def compare(found, outputs):
    """Compares outputs by name with the golden ones, of which a single one has no name."""
    expected = outputs if isinstance(outputs, dict) else {next(iter(found)): outputs}
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-4)


def onnx_session(name):
    tf2onnx = pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    function = plain(name).signatures[ENDPOINTS[name]]
    specs = function.structured_input_signature[1]
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=key) for key, spec in specs.items()]
    call = tf.function(lambda *inputs: function(**dict(zip(specs, inputs, strict=True))))
    model, _ = tf2onnx.convert.from_function(call, signature)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def litert_runner(name):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    endpoint = ENDPOINTS[name]
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(cards.folder_of(name)), signature_keys=[endpoint]
    )
    runtime = interpreter.Interpreter(model_content=converter.convert())
    return runtime.get_signature_runner(endpoint)

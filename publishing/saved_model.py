"""Publishing trained models in a folder, and loading them again.

A folder holds one TensorFlow SavedModel with the endpoints of all models, and the Keras config and weights of
each: `config.json` and `model.weights.h5` for the main model, `NAME.config.json` and `NAME.weights.h5` for
others; and the tokenizers of a model of text. `golden.npz` holds inputs and outputs of every endpoint. No
file holds the state of an optimizer.
"""

import json
import pathlib
import tempfile

import h5py
import keras
import numpy as np
import tensorflow as tf

from ..files import replacing, write_json
from ..layers.normalization import fix_statistics
from . import bounded, card_form, cards, short_names, tokenizers

_COMPRESSED_FROM = 256
_COMPRESSION = {"compression": "gzip", "compression_opts": 9, "shuffle": True}


def publish(exports, folder, card):
    """Writes one or more models to a folder.

    Args:
        exports: A list of `Export`s. The first is the main model, and its first endpoint is the SavedModel's
            default.
        folder: Where to write; an existing folder is replaced once the new one is complete.
        card: The card without its `files`.

    Returns:
        The card as written.
    """
    folder = pathlib.Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as temporary:
        functions = _export(exports, temporary)
        for export in exports:
            _write_keras(export.model, temporary, export.name)
            for name, text in export.files.items():
                (temporary / name).write_text(text, encoding="utf-8")
        np.savez_compressed(temporary / "golden.npz", **_golden(exports, functions))
        card = card_form.sealed(card | {"files": cards.hashes(temporary)})
        write_json(temporary / "card.json", card)
    return card


def _export(exports, folder):
    """Writes the SavedModel and returns its functions by endpoint."""
    module = tf.Module()
    # Keras's own ExportArchive saves every variable twice.
    module.weights = [variable.value for export in exports for variable in export.model.variables]
    functions = {}
    for export in exports:
        for name, endpoint in export.endpoints.items():
            if name in functions or hasattr(module, name):
                raise ValueError(f"endpoints must have distinct names that tf.Module lacks, got {name!r}")
            functions[name] = _with_signature(endpoint)
            setattr(module, name, functions[name])
    # These are not concrete functions, which would be saved in addition to those that `save` traces.
    signatures = {"serving_default": next(iter(functions.values())), **functions}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    short_names.shorten(folder)
    return functions


def _with_signature(endpoint):
    """Returns an endpoint's function with its signature; it calls one graph, which is saved only once."""
    graph = tf.function(endpoint.function, autograph=False)
    return tf.function(lambda *inputs: graph(*inputs), input_signature=endpoint.signature, autograph=False)


def _write_keras(model, folder, name=""):
    """Writes config and weights, through a copy that is not compiled and so has no optimizer."""
    config = json.loads(model.to_json())
    config.pop("compile_config", None)
    (folder / _file(name, "config.json")).write_text(json.dumps(config, separators=(",", ":")) + "\n")
    copy = keras.saving.deserialize_keras_object(config)
    copy.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as scratch:
        plain = pathlib.Path(scratch) / "plain.weights.h5"
        copy.save_weights(plain)
        _compress(plain, folder / _file(name or "model", "weights.h5"))


def _compress(source, target):
    """Copies an HDF5 file, with its larger arrays compressed."""
    with h5py.File(source) as before, h5py.File(target, "w", libver="latest") as after:
        after.attrs.update(before.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                options = {"chunks": item.shape, **_COMPRESSION} if item.size > _COMPRESSED_FROM else {}
                new = after.create_dataset(name, data=item[()], **options)
            else:
                new = after.require_group(name)
            new.attrs.update(item.attrs)

        before.visititems(copy)


def _file(name, ending):
    return f"{name}.{ending}" if name else ending


def _golden(exports, functions):
    """Returns inputs and outputs of all endpoints, by names such as `serve.inputs.0` and `serve.outputs`."""
    arrays = {}
    for export in exports:
        shared = None
        for name, endpoint in export.endpoints.items():
            # An endpoint with the same inputs as the first one stores only the first one's name.
            if shared is not None and endpoint.golden is export.endpoints[shared].golden:
                arrays[f"{name}.inputs_of"] = np.array(shared)
            else:
                arrays |= {f"{name}.inputs.{i}": np.asarray(value) for i, value in enumerate(endpoint.golden)}
                shared = shared or name
            outputs = functions[name](*map(tf.constant, endpoint.golden))
            parts = outputs.items() if isinstance(outputs, dict) else [("", outputs)]
            arrays |= {f"{name}.outputs{key and '.'}{key}": np.asarray(value) for key, value in parts}
    return arrays


def load(name_or_path, model=""):
    """Loads a published model after checking every file against its card.

    Nothing is unpickled, and Keras's safe mode is on, so the config can refer only to registered classes.

    Args:
        name_or_path: A published name, or a folder with a card, such as a run's folder.
        model: Name of the model if the folder holds several; the main one by default.

    Returns:
        A `keras.Model`, not compiled. A classifier maps images with pixels in [0, 1] to logits, a denoiser
        to images, a language model tokens to logits. A model of text has its `tokenizer`; one of pairs its
        `source_tokenizer` and `target_tokenizer`.

    Raises:
        ValueError: If there is no such model, a file is missing or corrupted, or a tokenizer has another
            number of tokens than the model; the message names it.
    """
    folder = cards.folder_of(name_or_path)
    cards.verify(folder)
    config = folder / _file(model, "config.json")
    if not config.is_file():
        names = [path.name.removesuffix(".config.json") for path in folder.glob("*.config.json")]
        raise ValueError(f"model must be one of {', '.join(names) or 'none'} in {folder}, got {model!r}")
    network = keras.saving.deserialize_keras_object(json.loads(config.read_text()), safe_mode=True)
    weights = folder / _file(model or "model", "weights.h5")
    bounded.check_weights(weights, network)
    network.load_weights(weights)
    for layer in getattr(network, "layers", ()):
        fix_statistics(layer)
    return tokenizers.attach(network, tokenizers.read(folder))


def golden(folder, endpoint="serve"):
    """Returns the golden inputs and outputs of an endpoint.

    Args:
        folder: A published folder.
        endpoint: The endpoint's name.

    Returns:
        A list of NumPy arrays, one for each argument, and the output, an array or a dictionary of arrays.

    Raises:
        ValueError: If there is no such endpoint, or the file is larger than 256 MB or can't be read.
    """
    arrays = bounded.read_npz(pathlib.Path(folder) / "golden.npz")
    outputs = _with_prefix(arrays, f"{endpoint}.outputs")
    if not outputs:
        raise ValueError(f"endpoint must be one of those in {folder}, got {endpoint!r}")
    source = str(arrays.get(f"{endpoint}.inputs_of", endpoint))
    inputs = _with_prefix(arrays, f"{source}.inputs")
    return [inputs[str(i)] for i in range(len(inputs))], outputs.get("", outputs)


def _with_prefix(arrays, prefix):
    """Returns the arrays named `prefix` or `prefix.REST`, by REST, which is empty for `prefix` itself."""
    return {
        name.removeprefix(prefix).removeprefix("."): array
        for name, array in arrays.items()
        if name == prefix or name.startswith(f"{prefix}.")
    }

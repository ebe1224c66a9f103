"""Publishing a trained model as a folder, and loading it again.

B batch, H W height and width, C channels, K classes.
"""

import json
import pathlib

import keras
import numpy as np

from .. import layers
from . import cards
from .files import replacing, write_json

GOLDEN = 4


def publish(model, folder, card, examples, endpoints):
    """Writes a model's folder: SavedModel, config, weights, golden inputs with outputs, and card.

    The SavedModel's endpoints are free in the batch size.

    Args:
        model: A `keras.Model` from images.
        folder: Where to write; what stood there is replaced, once the new folder is whole.
        card: The card without its `files`.
        examples: Images `[B, H, W, C]` of which a few are kept as golden inputs.
        endpoints: Functions of images by name, `serve` first: the default of its readers.

    Returns:
        The card as written.
    """
    folder = pathlib.Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as temporary:
        _export(model, temporary, endpoints)
        (temporary / "config.json").write_text(model.to_json(indent=1) + "\n")
        model.save_weights(temporary / "model.weights.h5")
        images = np.asarray(examples[:GOLDEN], "float32")
        outputs = keras.ops.convert_to_numpy(model(images, training=False))
        np.savez_compressed(temporary / "golden.npz", inputs=images, outputs=outputs)
        card = card | {"files": cards.hashes(temporary)}
        write_json(temporary / "card.json", card)
    return card


def _export(model, folder, endpoints):
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [keras.InputSpec(shape=(None, *model.input_shape[1:]), dtype="float32")]
    for name, function in endpoints.items():
        archive.add_endpoint(name, function, input_signature=signature)
    archive.write_out(folder, verbose=False)


def load(name_or_path):
    """Loads a published model, every file checked against its card first.

    Nothing is unpickled, and Keras's safe mode is on: the config can name registered classes only.

    Args:
        name_or_path: A published name, or a folder with a card, such as a run's `model`.

    Returns:
        A `keras.Model`, not compiled, from images with pixels in [0, 1] to what its task says: a classifier's
        logits, a denoiser's images.

    Raises:
        ValueError: If there is no such model, or a file is missing or corrupted; the message names it.
    """
    folder = cards.folder_of(name_or_path)
    cards.verify(folder)
    # Keras knows a class by its registered name once its module was imported.
    for name in layers.__all__:
        getattr(layers, name)
    config = json.loads((folder / "config.json").read_text())
    # What it was trained with is the recipe's affair.
    config.pop("compile_config", None)
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    model.load_weights(folder / "model.weights.h5")
    return model


def golden(folder):
    """Returns the golden inputs and outputs of a published folder, two NumPy arrays."""
    with np.load(pathlib.Path(folder) / "golden.npz", allow_pickle=False) as stored:
        return stored["inputs"], stored["outputs"]

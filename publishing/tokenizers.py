"""The tokenizers of a published folder, which a loaded model carries."""

import pathlib

from ..data.text import tokenizer_from_json

# Attributes of a model, by the files of its folder.
ATTRIBUTES = {
    "tokenizer.json": "tokenizer",
    "source.tokenizer.json": "source_tokenizer",
    "target.tokenizer.json": "target_tokenizer",
}
# Attributes that hold the number of tokens that a model knows.
_SIZES = {
    "tokenizer": "vocabulary",
    "source_tokenizer": "source_vocabulary",
    "target_tokenizer": "target_vocabulary",
}


def read(folder):
    """Returns the text of a folder's tokenizers, by the names of their files.

    Args:
        folder: A published folder.
    """
    paths = [pathlib.Path(folder) / name for name in ATTRIBUTES]
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}


def attach(model, files):
    """Gives a model its tokenizers.

    Args:
        model: The `keras.Model`.
        files: The text of files by name; those that hold no tokenizer are ignored.

    Returns:
        The model.

    Raises:
        ValueError: If a tokenizer has another number of tokens than the model.
    """
    for name, text in files.items():
        if name in ATTRIBUTES:
            attribute = ATTRIBUTES[name]
            tokenizer = tokenizer_from_json(text)
            size = getattr(model, _SIZES[attribute], None)
            if size is not None and size != tokenizer.size:
                raise ValueError(
                    f"{name} must have the {size} tokens of the model, got {tokenizer.size}: "
                    "it is the tokenizer of another model"
                )
            setattr(model, attribute, tokenizer)
    return model

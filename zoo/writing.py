"""Text that the zoo's models write: continuations of language models, and translations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from .. import arguments, quiet
from ..data.text import tokenizer_from_json
from ..publishing import cards, tokenizers
from . import catalogue

# Measures of models that write text.
MEASURES = ("language_modeling", "translation")
# Files of the tokenizers that read prompts.
_READERS = ("tokenizer.json", "source.tokenizer.json")
# A decoder shows the bytes of an incomplete character as this one.
_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
_DEFAULTS = {
    "max_new_tokens": 200,
    "temperature": 1.0,
    "top_k": None,
    "top_p": None,
    "beam": None,
    "stop": None,
    "seed": 0,
}


def write(
    name: str | os.PathLike,
    prompt: str | Sequence[str],
    *,
    max_new_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    beam: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int = 0,
) -> str | list[str]:
    """Returns text that a published model writes.

    A language model continues the prompt; a translator translates it. Loading takes most of the time: for
    many samples, call `generate` of the model that `load` returns.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        prompt: The text to continue or to translate, or several.
        max_new_tokens: Largest number of new tokens.
        temperature: Divides the logits before the softmax; 0 takes the most probable token.
        top_k: Draw from the k most probable tokens only.
        top_p: Draw from the smallest set of most probable tokens whose probability is at least p only.
        beam: Number of beams of a beam search, which replaces drawing.
        stop: A text, or several, after which a continuation ends.
        seed: Seed of the draws.

    Returns:
        The text after the prompt, or the translation; a list for a list of prompts. A translator takes `beam`
        only.

    Raises:
        ValueError: If the model does not write text, a prompt is empty or has characters that the model does
            not know, or a setting is not valid.
    """
    settings = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "beam": beam,
        "stop": stop,
        "seed": seed,
    }
    return _written(_loaded(name, prompt, settings), prompt, settings)


def stream(name: str | os.PathLike, prompt: str, **settings) -> Iterator[str]:
    """Yields the text that `write` returns in pieces, as soon as they are written.

    Translations and texts found by a beam search come in one piece.

    Args:
        name: As for `write`.
        prompt: The text to continue or to translate.
        **settings: As for `write`.

    Yields:
        Pieces of text.

    Raises:
        ValueError: As for `write`.
    """
    settings = _DEFAULTS | settings
    model = _loaded(name, prompt, settings)
    if _is_translator(model) or settings["beam"] is not None:
        yield _written(model, prompt, settings)
        return
    del settings["beam"]
    tokens = [int(token) for token in model.tokenizer.encode(prompt)]
    shown = len(model.tokenizer.decode(tokens))
    for new in model.stream(prompt, **settings):
        tokens += [int(token) for token in new]
        text = model.tokenizer.decode(tokens)
        whole = len(text.rstrip(_INCOMPLETE))
        if whole > shown:
            yield text[shown:whole]
            shown = whole
    yield model.tokenizer.decode(tokens)[shown:]


def writes(name) -> bool:
    """Returns whether a published model writes text.

    Args:
        name: A published name, or a folder with a card.
    """
    return cards.read(cards.folder_of(name))["measure"] in MEASURES


def names() -> list[str]:
    """Returns the names of the published models that write text."""
    return catalogue.measured_by(MEASURES)


def _loaded(name, prompt, settings):
    """Returns a model after checking, before the slow import of TensorFlow, that it can write this."""
    folder = cards.folder_of(name)
    card = cards.read(folder)
    if card["measure"] not in MEASURES:
        valid = ", ".join(names()) or "none is published yet"
        raise ValueError(f"name must be that of a model that writes text, got {name!r}; valid: {valid}")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list | tuple) or not prompts:
        raise ValueError(f"prompt must be a text or a list of texts, got {arguments.described(prompt)}")
    for index, text in enumerate(prompts):
        if not isinstance(text, str) or not text:
            where = "prompt" if isinstance(prompt, str) else f"prompt[{index}]"
            raise ValueError(f"{where} must be a text of at least one character, got {text!r}")
    _check(settings)
    for file, text in tokenizers.read(folder).items():
        if file in _READERS:
            tokenizer_from_json(text).encode_all(prompts)
    quiet.load_keras()
    from ..publishing import saved_model

    model = saved_model.load(name)
    if not _is_translator(model) and getattr(model, "tokenizer", None) is None:
        raise ValueError(f"{name} has no tokenizer, so that it writes tokens only: use zoo.load and generate")
    return model


def _check(settings):
    """Raises a ValueError unless the settings are valid for a vocabulary of any size."""
    arguments.integer("max_new_tokens", settings["max_new_tokens"], 1)
    arguments.nonnegative_number("temperature", settings["temperature"])
    for name in ("top_k", "beam"):
        if settings[name] is not None:
            arguments.integer(name, settings[name], 1)
    if settings["top_p"] is not None:
        arguments.number("top_p", settings["top_p"], 0, 1, bounds="(]")
    arguments.seed("seed", settings["seed"])


def _is_translator(model):
    return hasattr(model, "translate")


def _written(model, prompt, settings):
    """Returns the continuation or the translation of one or several prompts."""
    prompt = prompt if isinstance(prompt, str) else list(prompt)
    if not _is_translator(model):
        return model.generate(prompt, **settings)
    for key, value in settings.items():
        if key != "beam" and value != _DEFAULTS[key]:
            raise ValueError(f"{key} must be left out for a translator, got {value!r}")
    return model.generate(prompt, beam=settings["beam"])

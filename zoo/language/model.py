"""The base class of language models: functional Keras models of tokens that also write.

Legend: B batch, T positions, V vocabulary, P longest prompt, N positions of the buffer, M new tokens.
"""

import keras
import numpy as np
from keras import ops

from ... import arguments
from ..programs import Programs, uniform_numbers
from . import decoding, filters, prompts

# Lengths of buffers are multiples of this, so that few shapes are compiled.
_ROUNDING = 64


class LanguageModel(keras.Model):
    """A model from tokens [B, T] to the logits [B, T, V] of each next token.

    A subclass makes its layers, calls `super().__init__(inputs=..., outputs=...)`, and defines
    `initial_state`, `step` and, if `reads_in_parallel`, `prefill`, as `decoding` describes them, and keeps
    the arguments of its constructor in `_config`.

    Attributes:
        vocabulary: Size V of the vocabulary.
        context: The longest input; `None` for any length.
        reads_in_parallel: Whether the model has `prefill`.
        tokenizer: The tokenizer that the model was trained with; `None` if the model only knows tokens.
    """

    vocabulary: int
    context: int | None = None
    reads_in_parallel = False
    tokenizer = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._programs = Programs(self)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns a model with new weights."""
        return cls(**config)

    def generate(
        self,
        prompt,
        max_new_tokens=200,
        *,
        temperature=1.0,
        top_k=None,
        top_p=None,
        beam=None,
        stop=None,
        seed=0,
    ):
        """Continues one or several prompts.

        If a context is full, the model goes on from the last half of it, so a text may be longer than the
        context.

        Args:
            prompt: A text, if the model has a `tokenizer`; a sequence of tokens; or a list of several, of any
                lengths from 1 to the context.
            max_new_tokens: Largest number M of new tokens.
            temperature: Divides the logits; 0 takes the most probable token.
            top_k: Draw from the k most probable tokens only.
            top_p: Draw from the smallest set of most probable tokens whose probability is at least p only.
            beam: Number of beams of a beam search, which replaces drawing and its settings. Prompt and new
                tokens must then fit into the context.
            stop: A text or a sequence of tokens, or a list of several, after which a continuation ends.
            seed: Integer seed. With one backend the same seed gives the same tokens.

        Returns:
            The continuation, of the prompt's kind: a text, or an array of tokens, with the `stop` that ended
            it. A list of prompts gives a list.

        Raises:
            ValueError: If a prompt is empty, too long, or has a token out of range, or a setting is not
                valid.
        """
        request, static = self._request(prompt, max_new_tokens, temperature, top_k, top_p, stop, seed)
        if beam is None:
            *_, loop = self._sampled(request, static, max_new_tokens, temperature, seed)
            return request.continuations(np.asarray(loop["tokens"]), np.asarray(loop["ends"]))
        arguments.integer("beam", beam, 1)
        drawing = {"temperature": (temperature, (0, 1)), "top_k": (top_k, (None,)), "top_p": (top_p, (None,))}
        for name, (value, allowed) in drawing.items():
            if value not in allowed:
                raise ValueError(
                    f"{name} must be left out for a beam search, which does not draw, got {value!r}"
                )
        longest = int(request.lengths.max()) + max_new_tokens
        if self.context is not None and longest > self.context:
            raise ValueError(
                f"max_new_tokens must be at most {self.context - longest + max_new_tokens} for a beam search "
                f"in a context of {self.context}, got {max_new_tokens}"
            )
        loop = self._start(request, static)
        limits = request.lengths, np.int32(max_new_tokens)
        found = self._programs.run(decoding.beam_search, loop, *limits, beams=beam, stops=static["stops"])
        return request.continuations(np.asarray(found["tokens"])[:, 0], np.asarray(found["ends"])[:, 0])

    def stream(
        self,
        prompt,
        max_new_tokens=200,
        *,
        temperature=1.0,
        top_k=None,
        top_p=None,
        stop=None,
        seed=0,
        every=8,
    ):
        """Continues one prompt piece by piece; together the pieces are what `generate` returns.

        Args:
            prompt: A text or a sequence of tokens.
            max_new_tokens: As for `generate`.
            temperature: As for `generate`.
            top_k: As for `generate`.
            top_p: As for `generate`.
            stop: As for `generate`.
            seed: As for `generate`.
            every: Largest number of tokens in a piece.

        Returns:
            An iterator over arrays of new tokens, int32.

        Raises:
            ValueError: As for `generate`, or if there are several prompts.
        """
        arguments.integer("every", every, 1)
        request, static = self._request(prompt, max_new_tokens, temperature, top_k, top_p, stop, seed)
        if not request.single:
            raise ValueError(f"prompt must be one text or sequence of tokens, got {len(request.rows)}")
        return self._pieces(request, static, max_new_tokens, temperature, seed, every)

    def generate_tokens(self, tokens, lengths, max_new_tokens, temperature, seed):
        """Continues prompts within a graph, as `generate` does; the endpoint of a SavedModel.

        Args:
            tokens: Prompts, padded on the right, int32 [B, P], with P at most the context.
            lengths: Length of each prompt, from 1 to P, int32 [B].
            max_new_tokens: Number M of new tokens of each row, an int32 scalar.
            temperature: A float32 scalar; 0 takes the most probable token.
            seed: An integer scalar.

        Returns:
            The prompts with their continuations, int32 [B, P + M], with zeros after them.
        """
        cache_length = self.context or 1
        rows, length = ops.shape(tokens)
        buffer = ops.pad(tokens, [[0, 0], [0, max_new_tokens]])
        uniforms = uniform_numbers(max_new_tokens, rows, seed)
        loop = decoding.begin(self, buffer, lengths, length, cache_length)
        limit = length + max_new_tokens
        return decoding.sample(
            self, loop, lengths, uniforms, limit, max_new_tokens, temperature, cache_length=cache_length
        )["tokens"]

    def _pieces(self, request, *settings):
        """Yields the new tokens of the first prompt."""
        start = int(request.lengths[0])
        for loop in self._sampled(request, *settings):
            end = int(loop["ends"][0])
            yield np.asarray(loop["tokens"])[0, start:end]
            start = end

    def _sampled(self, request, static, max_new_tokens, temperature, seed, every=None):
        """Yields the loop's variables after every so many tokens, or at the end."""
        lengths = request.lengths
        uniforms = uniform_numbers(_rounded(max_new_tokens), len(lengths), seed)
        loop = self._start(request, static)
        last = int(lengths.max()) + max_new_tokens
        # Steps that only read a prompt yield nothing.
        limits = range(int(lengths.min()) + every, last + every, every) if every else [last]
        for limit in limits:
            loop = self._programs.run(
                decoding.sample,
                loop,
                lengths,
                uniforms,
                np.int32(min(limit, last)),
                np.int32(max_new_tokens),
                np.float32(temperature),
                **{name: static[name] for name in ("cache_length", "stops", "top_k", "top_p")},
            )
            yield loop
            if bool(np.all(loop["done"])):
                return

    def _request(self, prompt, max_new_tokens, temperature, top_k, top_p, stop, seed):
        """Returns the checked prompts and the static arguments of their programs."""
        request = prompts.read(prompt, self.vocabulary, self.tokenizer, self.context)
        arguments.integer("max_new_tokens", max_new_tokens, 1)
        filters.check(self.vocabulary, temperature, top_k, top_p)
        arguments.seed("seed", seed)
        stops = () if stop is None else prompts.read(stop, self.vocabulary, self.tokenizer, name="stop").rows
        longest = int(request.lengths.max())
        size = _rounded(longest + max_new_tokens)
        static = {
            "buffer": size,
            "prompt_length": min(_rounded(longest), self.context or longest),
            "cache_length": size if self.context is None else min(size, self.context),
            "stops": tuple(tuple(map(int, row)) for row in stops),
            "top_k": top_k,
            "top_p": top_p,
        }
        return request, static

    def _start(self, request, static):
        """Returns the loop's variables after reading the prompts."""
        return self._programs.run(
            decoding.begin,
            request.padded(static["buffer"]),
            request.lengths,
            prompt_length=static["prompt_length"],
            cache_length=static["cache_length"],
        )


def _rounded(length):
    return -(-length // _ROUNDING) * _ROUNDING

"""Decoding with a cache against loops over the uncached model, and over all sequences.

One model is compiled for the tests of ragged prompts, seeds, pieces and weights; the others run step by step.
"""

import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.zoo.language import decoding

PROMPTS = [[1, 2, 3], [4], [0, 3, 0, 1, 2, 2]]
NEW = 20  # The context of 8 is full before.


@pytest.fixture(scope="module")
def model(make_model):
    return make_model(num_layers=1)


@pytest.fixture(scope="module")
def best(log_probabilities):
    """The most probable token after each prefix; a full context goes on from its last half."""

    def written(model, prompt, count=NEW):
        window, new = list(prompt), []
        for _ in range(count):
            if len(window) > model.context:
                window = window[-(model.context // 2 + 1) :]
            new.append(int(log_probabilities(model, window).argmax()))
            window.append(new[-1])
        return new

    return written


KINDS = {
    "rotary": {},
    "learned, post-norm": {"positions": "learned", "norm": "post", "context": 7},
    "sinusoidal, tied": {"positions": "sinusoidal", "tied": True, "use_bias": True},
    "none, heads of two sizes": {"positions": "none", "heads": (2, 5)},
    "a context of one": {"context": 1},
}


@pytest.mark.parametrize("name", KINDS)
def test_greedy_tokens_are_those_of_the_uncached_model(name, make_model, best, uncompiled):
    """Also past the context."""
    model = make_model(**KINDS[name])
    prompt = [1, 2, 3][: model.context]
    new = model.generate(prompt, NEW, temperature=0)
    assert new.dtype == np.int32 and new.tolist() == best(model, prompt)


@pytest.mark.parametrize("name", list(KINDS)[:4])
def test_the_logits_of_each_step_are_those_of_the_uncached_model(name, make_model):
    model = make_model(**KINDS[name])
    tokens = np.random.default_rng(0).integers(0, 5, (2, 7)).astype("int32")
    expected = model(tokens)
    # What is read behind position 2 is overwritten.
    state = model.prefill(tokens[:, [0, 1, 2, 0, 0]], model.initial_state(2, 9))
    for position in range(2, 7):
        logits, state = model.step(tokens[:, position], position, state)
        np.testing.assert_allclose(logits, expected[:, position], rtol=1e-4, atol=1e-5)


def test_a_ragged_batch_is_compiled_as_its_rows_alone(model, best):
    batch = model.generate(PROMPTS, NEW, temperature=0)
    assert [row.tolist() for row in batch] == [best(model, prompt) for prompt in PROMPTS]
    assert model.generate(PROMPTS[2], NEW, temperature=0).tolist() == batch[2].tolist()


def test_a_row_of_samples_depends_on_the_seed_and_its_place_only(model):
    rows = model.generate(PROMPTS, NEW, seed=3)
    np.testing.assert_array_equal(model.generate(PROMPTS[0], NEW, seed=3), rows[0])
    again = model.generate([PROMPTS[0], *PROMPTS[1::-1]], NEW, seed=3)
    np.testing.assert_array_equal(again[0], rows[0])
    np.testing.assert_array_equal(again[1], rows[1])
    assert again[2].tolist() != rows[0].tolist()
    assert model.generate(PROMPTS[0], NEW, seed=4).tolist() != rows[0].tolist()
    np.testing.assert_array_equal(model.generate(PROMPTS[0], 5, seed=3), rows[0][:5])


def test_the_graph_of_any_shape_writes_what_generate_writes(model):
    scalars = [tf.TensorSpec((), dtype) for dtype in (tf.int32, tf.float32, tf.int32)]
    signature = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32), *scalars]
    graph = tf.function(model.generate_tokens, input_signature=signature, autograph=False)
    lengths = np.array([len(prompt) for prompt in PROMPTS])
    padded = np.array([prompt + [0] * (6 - len(prompt)) for prompt in PROMPTS])
    for temperature in (0.0, 1.0):
        expected = model.generate(PROMPTS, NEW, temperature=temperature, seed=7)
        tokens = graph(padded, lengths, NEW, temperature, 7).numpy()
        assert tokens.shape == (3, 6 + NEW)
        for row, prompt, new in zip(tokens, PROMPTS, expected, strict=True):
            end = len(prompt) + NEW
            np.testing.assert_array_equal(row[:end], [*prompt, *new])
            assert not row[end:].any()
    one = graph([[4, 1]], [2], 3, 0.0, 0).numpy()[0, 2:]
    np.testing.assert_array_equal(one, model.generate([4, 1], 3, temperature=0))


@pytest.mark.parametrize("every", [1, 7, 100])
def test_the_pieces_of_a_stream_are_the_whole_text(model, every):
    pieces = list(model.stream(PROMPTS[0], NEW, seed=3, every=every))
    np.testing.assert_array_equal(np.concatenate(pieces), model.generate(PROMPTS[0], NEW, seed=3))
    assert all(len(piece) == every for piece in pieces[:-1]) and 1 <= len(pieces[-1]) <= every


def test_a_compiled_program_follows_the_weights(model, best):
    weights = model.get_weights()
    try:
        model.set_weights([w[::-1] for w in weights])
        assert model.generate(PROMPTS[0], NEW, temperature=0).tolist() == best(model, PROMPTS[0])
    finally:
        model.set_weights(weights)


@pytest.mark.parametrize("choices", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}, {"beam": 1}])
def test_the_narrowest_choices_are_the_greedy_one(choices, make_model, best, uncompiled):
    model = make_model(context=16)
    assert model.generate([1, 2], 8, **choices).tolist() == best(model, [1, 2], 8)


@pytest.mark.parametrize("beam", [None, 3])
def test_rows_end_with_the_first_stop_in_their_new_tokens(beam, make_model, uncompiled):
    """A stop is in the first prompt, and one straddles the second one's end; neither counts."""
    model = make_model(context=16)
    greedy = {"beam": beam, "temperature": 0}
    free = [row.tolist() for row in model.generate([[1, 2, 3], [4]], 10, **greedy)]
    for stops in ([free[0][3:5]], [[1, 2], free[0][2:4], [free[1][4]]], [[4, free[1][0]]], [[3, free[0][0]]]):
        # Beams of a search that may end early are others than those of one that may not.
        rows = model.generate([[1, 2, 3], [4]], 10, stop=stops, **greedy)
        for row, whole in zip(rows, free, strict=True):
            row = row.tolist()
            ends = [e for e in range(1, len(row) + 1) for s in stops if row[max(e - len(s), 0) : e] == s]
            assert (ends == [] and len(row) == 10) or min(ends) == len(row)
            assert beam or row == whole[: len(row)]
    if beam is None:
        stopped = model.generate([1, 2, 3], 10, stop=free[0][1:2], **greedy).tolist()
        assert stopped == free[0][: free[0].index(free[0][1]) + 1]


def all_continuations(model, log_probabilities, prompt, length, stop=None):
    """Returns {continuation: log-probability} for all of some length, or shorter with a stop at the end."""
    found = {}
    for new in itertools.product(range(model.vocabulary), repeat=length):
        end = new.index(stop) + 1 if stop in new else length
        new = new[:end]
        if new not in found:
            found[new] = sum(log_probabilities(model, [*prompt, *new[:i]])[new[i]] for i in range(end))
    return found


@pytest.fixture(scope="module")
def three_tokens(make_model):
    return make_model(vocabulary=3, num_layers=1)


@pytest.mark.parametrize("stop", [None, 2])
def test_as_many_beams_as_sequences_search_all_of_them(stop, three_tokens, log_probabilities, uncompiled):
    """A ragged batch: tokens, order and scores, the sums of log-probabilities of the uncached model."""
    prompts, model, length = [[1, 2, 0], [2]], three_tokens, 3
    tokens = np.zeros((2, 6), "int32")
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    lengths = keras.ops.array([3, 1], "int32")
    loop = decoding.begin(model, keras.ops.array(tokens), lengths, 3, 8)
    stops = () if stop is None else ((stop,),)
    result = decoding.beam_search(model, loop, lengths, length, beams=27, stops=stops)
    best = model.generate(prompts, length, beam=27, stop=None if stop is None else [stop])
    for b, prompt in enumerate(prompts):
        expected = all_continuations(model, log_probabilities, prompt, length, stop)
        ordered = sorted(expected, key=expected.get, reverse=True)
        rows = zip(result["tokens"][b].numpy(), result["ends"][b].numpy(), strict=True)
        beams = [tuple(map(int, row[len(prompt) : end])) for row, end in rows][: len(expected)]
        assert beams == ordered
        scores = result["scores"][b].numpy()
        np.testing.assert_allclose(scores[: len(expected)], [expected[s] for s in ordered], rtol=1e-4)
        assert np.all(scores[len(expected) :] < -1e29)
        assert tuple(best[b].tolist()) == ordered[0]


def test_a_step_makes_no_tensor_with_two_axes_of_the_cache_length(make_model):
    """The compiled loop of 48 cached positions; a pass through the whole model has such tensors."""
    size = 48
    model = make_model(context=size, num_layers=1)

    def shapes(function, *inputs):
        compiled = tf.function(function, jit_compile=True, autograph=False)
        text = compiled.experimental_get_compiler_ir(*inputs)(stage="hlo")
        return [shape.split(",") for shape in re.findall(r"\w+\[([\d,]+)\]", text)]

    tokens = tf.ones((1, 64), tf.int32)
    lengths, uniforms = tf.constant([3]), tf.zeros((1, 64))

    def steps(tokens):
        loop = {
            "tokens": tokens,
            "ends": lengths,
            "done": tf.constant([False]),
            "time": tf.constant(3),
            "offset": tf.constant(0),
            "state": model.initial_state(1, size),
        }
        return decoding.sample(model, loop, lengths, uniforms, 64, 61, 1.0, cache_length=size)["tokens"]

    found = shapes(steps, tokens)
    assert any(str(size) in shape for shape in found)
    assert not [shape for shape in found if shape.count(str(size)) > 1]
    whole = shapes(model, tokens[:, :size])
    assert [shape for shape in whole if shape.count(str(size)) > 1]

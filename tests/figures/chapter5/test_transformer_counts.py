import numpy as np
import pytest

from curvezoo.figures.chapter5 import transformer_counts as counts
from curvezoo.theory.counting import TransformerShape

MODEL = counts.Model("tiny", TransformerShape(3, 8, 2), 11, 6)
LENGTHS = np.array([1, 6, 48, 96])


def test_the_parts_add_up_to_the_counts_of_the_whole_decoder():
    decoders = [MODEL.shape.decoder(11, int(n)) for n in LENGTHS]
    parameters, products = counts.parameters(MODEL, LENGTHS), counts.products(MODEL, LENGTHS)
    parts = sum(parameters[part] for part in ("feed-forward", "projections", "embedding", "positions"))
    norms = 3 * 4 * 8 + 2 * 8
    np.testing.assert_array_equal(parameters["total"], [decoder.parameters for decoder in decoders])
    np.testing.assert_array_equal(parts + norms, parameters["total"])
    whole = LENGTHS * (products["linear"] + products["quadratic"] + products["logits"])
    np.testing.assert_array_equal(whole, [decoder.forward for decoder in decoders])
    np.testing.assert_array_equal(products["linear"], products["feed-forward"] + products["projections"])


@pytest.mark.equation("5.4.17")
def test_the_marked_lengths_are_where_the_drawn_lines_cross():
    figure = counts.plot([MODEL, MODEL], LENGTHS)
    right = figure.axes[1]
    lines = {line.get_label(): line.get_ydata() for line in right.lines}
    linear = lines["feed-forward + projections"]
    six, twelve = 2, 3
    assert list(LENGTHS[[six, twelve]]) == [6 * 8, 12 * 8]
    assert lines["scores + averages"][six] == linear[six]
    assert lines["one of them, Eq. 5.4.17"][twelve] == linear[twelve]
    marks = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert marks == [6 * 8, 12 * 8]
    assert [text.get_text()[1:3].strip("\\") for text in right.texts] == ["6", "12"]


def test_the_table_has_a_row_of_exact_counts_for_each_model():
    header, rows = counts.table()
    assert len(rows) == len(counts.MODELS)
    assert all(len(row) == len(header) for row in rows)
    assert rows[-1][2] == "124,439,808"
    assert [row[-1] for row in rows] == ["768 tokens", "3,072 tokens", "4,608 tokens"]

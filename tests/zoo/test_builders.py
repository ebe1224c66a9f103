"""Settings of architectures that no model can have are refused by their own name."""

import pytest

from curvezoo import zoo

BAD = [
    ("mlp_digits", "widths", (8, -1), r"widths\[1\] must be an integer of at least 1, got -1"),
    ("mlp_digits", "dropout", 1.0, r"dropout must be in \[0, 1\), got 1.0"),
    ("mlp_digits", "activation", "relux", "activation must be one of .*, got 'relux'; did you mean 'relu'"),
    ("cnn_digits", "channels", (0,), r"channels\[0\] must be an integer of at least 1, got 0"),
    ("cnn_digits", "units", 0, "units must be an integer of at least 1, got 0"),
    ("cnn_digits", "dropout", -0.1, r"dropout must be in \[0, 1\), got -0.1"),
    ("resnet20_cifar10", "blocks", 0, "blocks must be an integer of at least 1, got 0"),
    ("resnet20_cifar10", "width", -1, "width must be an integer of at least 1, got -1"),
    ("dcgan_digits", "generator_filters", (-1,), r"filters\[0\] must be an integer of at least 1, got -1"),
    ("dcgan_digits", "discriminator_filters", (0,), r"filters\[0\] must be an integer of at least 1, got 0"),
    ("dcgan_digits", "kernel_size", 0, "kernel_size must be an integer of at least 1, got 0"),
    ("transformer_text", "width", 0, "width must be an integer of at least 1, got 0"),
    ("transformer_text", "dropout", 1.5, r"dropout must be in \[0, 1\), got 1.5"),
    ("seq2seq_numbers", "width", 0, "width must be an integer of at least 1, got 0"),
    ("seq2seq_numbers", "dropout", 1.0, r"dropout must be in \[0, 1\), got 1.0"),
    ("alphazero_tic_tac_toe", "units", 0, "units must be an integer of at least 1, got 0"),
    ("alphazero_tic_tac_toe", "depth", -1, "depth must be an integer of at least 0, got -1"),
    ("alphazero_connect_four", "blocks", -1, "blocks must be an integer of at least 0, got -1"),
    ("alphazero_connect_four", "value_filters", 0, "value_filters must be an integer of at least 1, got 0"),
]


@pytest.mark.parametrize(("name", "key", "value", "message"), BAD)
def test_an_impossible_setting_is_named_with_its_rule(name, key, value, message):
    with pytest.raises(ValueError, match=message):
        zoo.build(name, **{f"model.{key}": value})

import dataclasses

import pytest

from curvezoo.agents.settings import ALGORITHMS

FLAGS = [
    (name, field.name)
    for name, settings in ALGORITHMS.items()
    for field in dataclasses.fields(settings)
    if isinstance(field.default, bool)
]


@pytest.mark.parametrize("algorithm, name", FLAGS)
@pytest.mark.parametrize("value", [1, "no", None])
def test_a_flag_is_true_or_false(algorithm, name, value):
    with pytest.raises(ValueError, match=f"{name} must be True or False, got {value!r}"):
        ALGORITHMS[algorithm](**{name: value})


def test_flags_are_among_the_settings():
    assert ("PPO", "normalize_observations") in FLAGS and ("DQN", "double") in FLAGS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_widths_of_layers_are_a_tuple(algorithm):
    with pytest.raises(ValueError, match="hidden must be a tuple of integers, got 64"):
        ALGORITHMS[algorithm](hidden=64)

"""The networks of AlphaZero (Sec. 8.6): f(s) = (p, v), one trunk with a policy and a value.

The recipes of the zoo are beside it, in `recipes`.

Legend: B positions, H W height and width of the board, C channels, A actions, O the shape of an observation.
"""


def residual_tower(
    spec,
    filters: int = 64,
    blocks: int = 4,
    policy_filters: int = 16,
    value_filters: int = 8,
    value_units: int = 64,
):
    """Returns AlphaZero's network for games on a board: a residual tower with batch norm and two heads.

    The network of the paper has 256 filters, 19 blocks, 2 policy filters, 1 value filter and 256 value units.

    Args:
        spec: The `Game`, or another object with its `observation_shape` and `actions`.
        filters: Channels of all blocks.
        blocks: Residual blocks, each of two 3x3 convolutions.
        policy_filters: Channels of the policy head's 1x1 convolution.
        value_filters: Channels of the value head's 1x1 convolution.
        value_units: Width of the value head's hidden layer.

    Returns:
        A `keras.Model` from observations [B, H, W, C] to logits [B, A] and values [B, 1] in [-1, 1].

    Raises:
        ValueError: If an observation of the game is not a board, or a value is not valid.
    """
    import keras

    from ... import arguments, layers

    arguments.integer("blocks", blocks, 0)
    widths = {
        "filters": filters,
        "policy_filters": policy_filters,
        "value_filters": value_filters,
        "value_units": value_units,
    }
    for name, value in widths.items():
        arguments.integer(name, value, 1)
    shape = tuple(spec.observation_shape)
    if len(shape) != 3:
        raise ValueError(f"spec must be a game on a board; use dense_tower for observations of shape {shape}")
    boards = keras.Input(shape, name="observations")
    x = layers.ConvBlock(filters, normalization="batch")(boards)
    for _ in range(blocks):
        x = layers.ResidualBlock(filters, version=1)(x)
    policy = layers.ConvBlock(policy_filters, kernel_size=1, normalization="batch")(x)
    value = layers.ConvBlock(value_filters, kernel_size=1, normalization="batch")(x)
    policy, value = (keras.layers.Flatten()(head) for head in (policy, value))
    value = layers.DenseBlock(value_units)(value)
    return _with_heads(spec, boards, policy, value, "residual_tower")


def dense_tower(spec, units: int = 128, depth: int = 3):
    """Returns a fully connected network with two heads, for games of any kind.

    Args:
        spec: The `Game`, or another object with its `observation_shape` and `actions`.
        units: Width of the hidden layers.
        depth: Number of hidden layers.

    Returns:
        A `keras.Model` from observations [B, *O] to logits [B, A] and values [B, 1] in [-1, 1].

    Raises:
        ValueError: If a value is not valid.
    """
    import keras

    from ... import arguments, layers

    arguments.integer("units", units, 1)
    arguments.integer("depth", depth, 0)
    observations = keras.Input(tuple(spec.observation_shape), name="observations")
    x = keras.layers.Flatten()(observations)
    for _ in range(depth):
        x = layers.DenseBlock(units, normalization="batch")(x)
    return _with_heads(spec, observations, x, x, "dense_tower")


def _with_heads(spec, observations, policy, value, name):
    """Returns the model with its last layers."""
    import keras

    logits = keras.layers.Dense(spec.actions, dtype="float32", name="logits")(policy)
    values = keras.layers.Dense(1, activation="tanh", dtype="float32", name="values")(value)
    return keras.Model(observations, [logits, values], name=name)

"""How a step runs: precision, compilation, steps in one call. The model and its loss are the same."""

import contextlib
import dataclasses

from ... import arguments
from ..settings import Part

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class Execution(Part):
    """How training steps are executed.

    Args:
        precision: Keras's dtype policy.
        jit_compile: Compile the training step with XLA; ignored under a strategy of several replicas.
        steps_per_execution: Number of steps per call of the compiled function; always 1 under a strategy of
            several replicas.

    Raises:
        ValueError: If a value is not valid.
    """

    precision: str = "float32"
    jit_compile: bool = False
    steps_per_execution: int = 1

    def __post_init__(self):
        arguments.one_of("precision", self.precision, PRECISIONS)
        arguments.integer("steps_per_execution", self.steps_per_execution, 1)

    @contextlib.contextmanager
    def policy(self):
        """Sets Keras's dtype policy inside a `with` block."""
        import keras

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.precision)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)

"""Imports TensorFlow and Keras without the messages of their libraries."""

import contextlib
import importlib
import os
import sys
import tempfile


def load_tensorflow():
    """Imports TensorFlow and finds its devices; what its libraries write to stderr meanwhile is not shown.

    TensorFlow's C++ libraries log the absence of a GPU and the instructions of the processor before they read
    `TF_CPP_MIN_LOG_LEVEL`. They write to file descriptor 2, which points to a file while TensorFlow loads. If
    the import fails, the messages appear, since they may tell why. Nothing is redirected where TensorFlow is
    imported already or stderr is closed. `TF_CPP_MIN_LOG_LEVEL`, which governs the messages after the import,
    is set to 2 (errors only) unless the environment has it.

    Returns:
        The module `tensorflow`.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with _stderr_withheld():
            importlib.import_module("tensorflow").config.list_physical_devices()
    return importlib.import_module("tensorflow")


def load_keras():
    """Imports Keras, and the backend that it is configured for, as `load_tensorflow` does.

    Returns:
        The module `keras`.
    """
    if "keras" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with _stderr_withheld():
            importlib.import_module("keras")
            if "tensorflow" in sys.modules:
                sys.modules["tensorflow"].config.list_physical_devices()
    return importlib.import_module("keras")


@contextlib.contextmanager
def _stderr_withheld():
    """Withholds what is written to file descriptor 2, and shows it if the block fails."""
    try:
        descriptor = os.dup(2)
    except OSError:
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(descriptor, messages.read())
            raise
        finally:
            os.dup2(descriptor, 2)
            os.close(descriptor)

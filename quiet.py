"""Imports TensorFlow and Keras without the messages of their libraries."""

import contextlib
import importlib
import os
import sys
import tempfile


def load_tensorflow():
    """Imports TensorFlow and lists its devices, without showing what its libraries write to stderr.

    TensorFlow's C++ libraries log the absence of a GPU and the instruction set of the processor before they
    read `TF_CPP_MIN_LOG_LEVEL`. They write to file descriptor 2, which is redirected to a temporary file
    while TensorFlow loads. If the import fails, the messages are shown, since they may explain the failure.
    Nothing is redirected if TensorFlow is already imported or stderr is closed. `TF_CPP_MIN_LOG_LEVEL`, which
    controls the messages after the import, is set to 2 (errors only) unless the environment sets it.

    Returns:
        The module `tensorflow`.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with _stderr_withheld():
            importlib.import_module("tensorflow").config.list_physical_devices()
    return importlib.import_module("tensorflow")


def load_keras():
    """Imports Keras and its configured backend, with messages suppressed as in `load_tensorflow`.

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


def require_tensorflow_backend(user):
    """Checks that Keras runs on TensorFlow, before anything is computed.

    Args:
        user: What needs it, for the message.

    Raises:
        ValueError: If Keras runs on another backend.
    """
    backend = load_keras().config.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"{user} needs the TensorFlow backend of Keras, got {backend!r}: unset KERAS_BACKEND"
        )


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

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def results(worker, tmp_path_factory):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    folder = tmp_path_factory.mktemp("backends")
    rng = np.random.default_rng(1)
    reference = {}
    for name in worker.names():
        weights = worker.build(name).get_weights()
        # The initial gamma = 1 and beta = 0 could hide a wrong order of operations.
        weights = [w * rng.uniform(0.8, 1.2, w.shape) + 0.01 * rng.uniform(size=w.shape) for w in weights]
        reference.update({f"{name}/before/{i}": w.astype("float32") for i, w in enumerate(weights)})
    np.savez(folder / "reference.npz", **reference)
    command = [sys.executable, worker.__file__, str(folder / "reference.npz"), str(folder / "jax.npz")]
    environment = {**os.environ, **worker.JAX_ENVIRONMENT}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    worker.run_all(reference, folder / "tensorflow.npz")
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    return np.load(folder / "tensorflow.npz"), np.load(folder / "jax.npz")


def test_jax_and_tensorflow_give_the_same_outputs_and_the_same_step(results, model_name):
    tensorflow, jax = results
    keys = [key for key in tensorflow.files if key.startswith(f"{model_name}/")]
    assert keys == [key for key in jax.files if key.startswith(f"{model_name}/")]
    for key in keys:
        if "dropout" in model_name and not key.endswith("outputs"):
            assert np.all(np.isfinite(jax[key]))  # The backends draw different masks.
        else:
            np.testing.assert_allclose(jax[key], tensorflow[key], rtol=2e-4, atol=2e-5, err_msg=key)

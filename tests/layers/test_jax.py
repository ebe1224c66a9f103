import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("backend_worker.py")


def load_worker():
    spec = importlib.util.spec_from_file_location("backend_worker", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_worker()
MODELS = [*worker.cases(), *worker.CLASSIFIERS]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    folder = tmp_path_factory.mktemp("backends")
    rng = np.random.default_rng(1)
    reference = {}
    for name in MODELS:
        weights = worker.build(name).get_weights()
        # Off the symmetric start, where gamma = 1 and beta = 0 could hide a wrong order of operations.
        weights = [w * rng.uniform(0.8, 1.2, w.shape) + 0.01 * rng.uniform(size=w.shape) for w in weights]
        reference.update({f"{name}/before/{i}": w.astype("float32") for i, w in enumerate(weights)})
    np.savez(folder / "reference.npz", **reference)
    command = [sys.executable, str(WORKER), str(folder / "reference.npz"), str(folder / "jax.npz")]
    # XLA's optimisation passes would take most of the test's time.
    jax = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    environment = {**os.environ, "KERAS_BACKEND": "jax", **jax}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    worker.run_all(reference, folder / "tensorflow.npz")
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    return np.load(folder / "tensorflow.npz"), np.load(folder / "jax.npz")


@pytest.mark.parametrize("name", MODELS)
def test_jax_and_tensorflow_give_the_same_outputs_and_the_same_step(results, name):
    tensorflow, jax = results
    keys = [key for key in tensorflow.files if key.startswith(f"{name}/")]
    assert keys == [key for key in jax.files if key.startswith(f"{name}/")]
    for key in keys:
        if "dropout" in name and not key.endswith("outputs"):
            assert np.all(np.isfinite(jax[key]))  # The backends draw different masks.
        else:
            np.testing.assert_allclose(jax[key], tensorflow[key], rtol=2e-4, atol=2e-5, err_msg=key)

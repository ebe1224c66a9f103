import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chisquare


@pytest.fixture(scope="module")
def results(worker, tmp_path_factory):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    folder = tmp_path_factory.mktemp("backends")
    rng = np.random.default_rng(1)
    models, reference = {name: worker.build(name) for name in worker.names()}, {}
    for name, model in models.items():
        weights = model.get_weights()
        # The initial gamma = 1 and beta = 0 could hide a wrong order of operations.
        weights = [w * rng.uniform(0.8, 1.2, w.shape) + 0.01 * rng.uniform(size=w.shape) for w in weights]
        reference.update({f"{name}/before/{i}": w.astype("float32") for i, w in enumerate(weights)})
    np.savez(folder / "reference.npz", **reference)
    command = [sys.executable, worker.__file__, str(folder / "reference.npz"), str(folder / "jax.npz")]
    environment = {**os.environ, **worker.JAX_ENVIRONMENT}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    worker.run_all(reference, folder / "tensorflow.npz", models.get)
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


def test_on_jax_noise_advances_beta_is_annealed_and_gradients_flow(results):
    _, jax = results
    assert jax["backend"] == "jax"
    result = {key.removeprefix("sampling/"): jax[key] for key in jax.files if key.startswith("sampling/")}
    logits, count = np.array([1.0, 0.0, -1.0, 2.0]), 20_000
    p = np.exp(logits) / np.exp(logits).sum()
    assert result["calls"] == 7  # Four batches, two batches, one call.
    assert result["beta"] == pytest.approx(8.0, rel=1e-6)
    assert result["moved"] > 1e-4
    assert chisquare(result["counts"], count * p).pvalue > 0.01
    # Two independent draws agree with probability sum p^2.
    assert result["repeated"] == pytest.approx(np.sum(p**2), abs=5 * np.sqrt(0.25 / count))
    np.testing.assert_allclose(result["relaxed_sums"], 1, atol=1e-5)
    np.testing.assert_allclose(result["mean"], logits, atol=5 * np.sqrt(np.e**2 / count))
    np.testing.assert_allclose(result["variance"], np.exp(logits), rtol=5 * np.sqrt(2 / count))
    np.testing.assert_array_equal(result["straight"], [0, 0, 0, 1])

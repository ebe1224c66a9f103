"""Variational autoencoders of digits (section 7.3)."""

from ...training.parts import Architecture, Execution, Images, ImportanceWeighted, NegativeELBO, Optimizer
from ...training.supervised import Supervised

_LIMITS = "Single handwritten digits as in its data set, with pixels of 0 and 1. Its images are blurred."


def vae(
    spec,
    latents: int = 20,
    units: tuple[int, ...] = (400,),
    activation: str = "tanh",
    likelihood: str = "bernoulli",
    importance_samples: int = 1,
):
    """Returns a `VAE` of a data set's images.

    Args:
        spec: The data set's `Spec`.
        latents: As for `VAE`.
        units: As for `VAE`.
        activation: As for `VAE`.
        likelihood: As for `VAE`.
        importance_samples: As for `VAE`.
    """
    settings = {key: value for key, value in locals().items() if key != "spec"}

    from .vae import VAE

    return VAE(spec.shape, **settings)


def _recipe(name, summary, model, objective, batch_size, learning_rate, epochs):
    return Supervised(
        name=name,
        section="7.3",
        summary=summary,
        model=Architecture(vae, model),
        data=Images(name.rsplit("_")[-1], batch_size=batch_size),
        objective=objective,
        optimizer=Optimizer("adam", learning_rate=learning_rate, schedule="cosine", warmup=0.5),
        # Compiling takes longer than training on the small images.
        execution=Execution(jit_compile=name.endswith("mnist")),
        epochs=epochs,
        limits=_LIMITS,
    )


RECIPES = (
    _recipe(
        "vae_digits",
        "a small variational autoencoder of binarized digits",
        {"latents": 8, "units": (128,)},
        NegativeELBO(),
        batch_size=64,
        learning_rate=3e-3,
        epochs=100,
    ),
    _recipe(
        "iwae_digits",
        "the same, trained by the importance-weighted bound of 5 draws",
        {"latents": 8, "units": (128,), "importance_samples": 5},
        ImportanceWeighted(),
        batch_size=64,
        learning_rate=3e-3,
        epochs=100,
    ),
    _recipe(
        "vae_mnist",
        "a variational autoencoder of binarized digits",
        {"latents": 40, "units": (400, 400)},
        NegativeELBO(),
        batch_size=100,
        learning_rate=1e-3,
        epochs=100,
    ),
    _recipe(
        "beta_vae_mnist",
        "a beta-VAE of binarized digits with beta 4 and 10 latents",
        {"latents": 10, "units": (256, 256)},
        # Without the warmup only half of the latents stay active.
        NegativeELBO(beta=4.0, warmup=10),
        batch_size=200,
        learning_rate=2e-3,
        epochs=50,
    ),
)

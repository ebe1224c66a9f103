"""The measure of variational autoencoders: the bound with its terms, the likelihood, and the samples.

N images, Z latent variables.
"""

from ..evaluation import Evaluation
from . import sample_quality
from .density import preprocessing, sections
from .measure import Measure, check_images

# Draws for each image by which the likelihood is estimated, and the number of such images.
DRAWS, _WEIGHTED_IMAGES = 500, 1000


class Variational(Measure):
    """The negative lower bound and its two terms, the importance-sampled likelihood, active units."""

    name = "variational"
    columns = {  # noqa: RUF012
        "test -ELBO, nats (± 2 s.e.)": lambda scores: (
            f"{scores['neg_elbo']:.2f} ± {2 * scores['neg_elbo_error']:.2f}"
        ),
        "reconstruction + KL": lambda scores: f"{scores['distortion']:.2f} + {scores['rate']:.2f}",
        "IS-NLL, nats": lambda scores: f"{scores['is_nll']:.2f}",
        "active units": lambda scores: f"{scores['active_units']}",
        **sample_quality.COLUMNS,
    }

    def brief(self, scores):
        """Returns the bound and the likelihood."""
        return f"-ELBO {scores['neg_elbo']:.1f}, IS-NLL {scores['is_nll']:.1f} nats"

    def check(self, model, spec):
        """Checks that a model has the image shape of a data set."""
        check_images(model, spec)

    def measure(self, model, splits, data):
        """Measures a variational autoencoder on the test split.

        Args:
            model: A `VAE`.
            splits: The `Splits` of (images, images), binarized if the model's pixels are binary.
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores, in nats an image: `neg_elbo` at one draw for each image, with
            its standard error `neg_elbo_error`; its terms `distortion`, the mean of -log p(x|z), and `rate`,
            the mean divergence of q(z|x) from the prior; `is_nll`, the mean of -log p(x) by importance
            sampling with `is_draws` draws; `active_units`, the number of latents whose mean varies over the
            images; `examples`; and those of `sample_quality.scores_of`. The gap between -ELBO and the
            importance-sampled value varies little between images. It is measured on the first 1,000 of them,
            with the standard error `gap_error`, and `is_nll` is `neg_elbo` of all images less this gap.
        """
        import numpy as np

        from .predictions import images_of

        images = np.concatenate([batch for batch, _ in splits.test.as_numpy_iterator()])
        distortion, rate = model.elbo_terms(images, seed=0)
        bound = distortion + rate
        weighted = images[:_WEIGHTED_IMAGES]
        gap = bound[: len(weighted)] + model.importance_log_prob(weighted, samples=DRAWS, seed=0)
        scores = {
            "neg_elbo": float(bound.mean()),
            "neg_elbo_error": float(bound.std(ddof=1) / np.sqrt(len(bound))),
            "distortion": float(distortion.mean()),
            "rate": float(rate.mean()),
            "is_nll": float(bound.mean() - gap.mean()),
            "is_draws": DRAWS,
            "gap_error": float(gap.std(ddof=1) / np.sqrt(len(gap))),
            "active_units": int(model.active_units(images)),
            "examples": len(images),
        }
        scores |= sample_quality.scores_of(model.sample, images_of(splits), splits.spec.name)
        return Evaluation(
            self.name,
            scores,
            data,
            summary=summary(scores, splits.spec, model),
            sections=lambda: sections(model, images),
        )


def summary(scores, spec, model):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
        spec: The data set's `Spec`.
        model: The model.
    """
    bound = f"{scores['neg_elbo']:.2f} ± {2 * scores['neg_elbo_error']:.2f} nats (2 s.e.)"
    return [
        ("Negative lower bound (-ELBO)", bound),
        ("Distortion, -log p(x|z)", f"{scores['distortion']:.2f} nats"),
        ("Rate, KL(q(z|x) || p(z))", f"{scores['rate']:.2f} nats"),
        (f"-log p(x), importance sampled with {scores['is_draws']} draws", f"{scores['is_nll']:.2f} nats"),
        ("Active latent variables", f"{scores['active_units']} of {model.latent_size}"),
        ("Pixels", preprocessing(spec, model.binary)),
        ("Images", f"{scores['examples']:,}"),
        *sample_quality.summary(scores, spec.name),
    ]

"""The measure of density models of images: the negative log-likelihood in nats and in bits per dimension.

N images, D pixels times channels.
"""

import math

from ..evaluation import Evaluation
from . import sample_quality
from .measure import Measure, check_images

_SHOWN = 64


class Density(Measure):
    """Nats an image and bits a dimension on the test split, and the quality of samples."""

    name = "density"
    columns = {  # noqa: RUF012
        "test NLL, nats (± 2 s.e.)": lambda scores: f"{scores['nll']:.2f} ± {2 * scores['nll_error']:.2f}",
        "bits/dim": lambda scores: f"{scores['bits_per_dim']:.3f}",
        **sample_quality.COLUMNS,
    }

    def brief(self, scores):
        """Returns the negative log-likelihood."""
        return f"{scores['nll']:.1f} nats, {scores['bits_per_dim']:.3f} bits/dim"

    def check(self, model, spec):
        """Checks that a model has the image shape of a data set."""
        check_images(model, spec)

    def measure(self, model, splits, data):
        """Measures a density model on the test split.

        Args:
            model: A `DensityModel` of images.
            splits: The `Splits` of (images, images), binarized or dequantized as the model's pixels are.
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores: `nll`, the mean of -log P(x) in nats an image; `nll_error`,
            its standard error; `bits_per_dim`, the same divided by D log 2; `examples`; and, if the data set
            has a published classifier, those of `sample_quality.scores_of`. For gray pixels of L levels,
            -log P is bounded from above by D log L - log p of the dequantized image.
        """
        import numpy as np

        from .predictions import images_of, outputs_and_targets

        log_density, images = outputs_and_targets(model, splits.test)
        size, levels = images[0].size, 1 if model.binary else splits.spec.levels
        nats = size * math.log(levels) - log_density[:, 0].astype("float64")
        scores = {
            "nll": float(nats.mean()),
            "nll_error": float(nats.std(ddof=1) / np.sqrt(len(nats))),
            "bits_per_dim": float(nats.mean() / (size * math.log(2))),
            "examples": len(nats),
        }
        real = images if model.binary else images_of(splits)
        scores |= sample_quality.scores_of(model.sample, real, splits.spec.name)
        return Evaluation(
            self.name,
            scores,
            data,
            summary=summary(scores, splits.spec, model.binary),
            sections=lambda: sections(model, images),
        )


def preprocessing(spec, binary):
    """Returns how pixels were drawn, in words.

    Args:
        spec: The data set's `Spec`.
        binary: Whether pixels are 0 or 1.
    """
    if binary:
        return "dynamically binarized: a pixel is 1 with the probability of its gray value"
    return f"dequantized: (k + u) / {spec.levels} with u uniform in [0, 1)"


def summary(scores, spec, binary):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
        spec: The data set's `Spec`.
        binary: Whether pixels are 0 or 1.
    """
    return [
        ("Negative log-likelihood", f"{scores['nll']:.2f} ± {2 * scores['nll_error']:.2f} nats (2 s.e.)"),
        ("The same in bits per dimension", f"{scores['bits_per_dim']:.4f}"),
        ("Pixels", preprocessing(spec, binary)),
        ("Images", f"{scores['examples']:,}"),
        *sample_quality.summary(scores, spec.name),
    ]


def sections(model, images):
    """Returns the section that shows samples beside images of the test split.

    Args:
        model: A `GenerativeModel`.
        images: Images of the test split, [N, H, W, C].
    """
    from ..page.images import grid
    from ..page.report import Section

    drawn = model.sample(_SHOWN, seed=0)
    return [
        Section(
            "Samples",
            figures=[
                (grid(drawn), "Images that the model draws."),
                (grid(images[:_SHOWN]), "Images of the test split."),
            ],
        )
    ]

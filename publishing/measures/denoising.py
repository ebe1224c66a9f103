"""The measure of denoisers: the peak signal-to-noise ratio against clean images (section 3.3.4).

N images, H W height and width, C channels.
"""

from ..evaluation import Evaluation
from .measure import Measure, check_images

_MAX_IMAGES = 8


class Denoising(Measure):
    """The peak signal-to-noise ratio on the test split, against clean images that training never saw."""

    name = "denoising"
    columns = {  # noqa: RUF012
        "test PSNR, dB (two standard errors)": lambda scores: (
            f"{scores['psnr']:.2f} ({scores['psnr_low']:.2f}-{scores['psnr_high']:.2f})"
        ),
        "PSNR of the noisy images, dB": lambda scores: f"{scores['psnr_noisy']:.2f}",
    }

    def brief(self, scores):
        """Returns the peak signal-to-noise ratio."""
        return f"{scores['psnr']:.1f} dB PSNR"

    def check(self, model, spec):
        """Checks that a model has the image shape of a data set."""
        check_images(model, spec)

    def measure(self, model, splits, data):
        """Measures a denoiser on the test split.

        Args:
            model: A `keras.Model` from noisy images to clean ones.
            splits: The `Splits` of (noisy images, targets); the targets of the test split are clean.
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores: `psnr`, the mean over images of 10 log10(1 / mean squared
            error) in dB; `psnr_low` and `psnr_high`, two standard errors below and above it; `psnr_noisy`,
            the same ratio for the noisy images; `mae`, the mean absolute error; and `examples`.
        """
        import numpy as np
        import tensorflow as tf

        from .predictions import outputs_and_targets

        outputs, clean = outputs_and_targets(model, splits.test)
        noisy = np.concatenate([inputs for inputs, _ in splits.test.as_numpy_iterator()])
        ratios = tf.image.psnr(outputs, clean, max_val=1.0).numpy().astype("float64")
        error = 2 * ratios.std(ddof=1) / np.sqrt(len(ratios))
        scores = {
            "psnr": ratios.mean(),
            "psnr_low": ratios.mean() - error,
            "psnr_high": ratios.mean() + error,
            "psnr_noisy": tf.image.psnr(noisy, clean, max_val=1.0).numpy().astype("float64").mean(),
            "mae": np.abs(outputs.astype("float64") - clean).mean(),
        }
        scores = {key: float(value) for key, value in scores.items()} | {"examples": len(ratios)}
        rows = {"noisy": noisy[:_MAX_IMAGES], "denoised": outputs[:_MAX_IMAGES], "clean": clean[:_MAX_IMAGES]}
        return Evaluation(self.name, scores, data, summary=summary(scores), sections=lambda: sections(rows))


def summary(scores):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
    """
    return [
        ("Peak signal-to-noise ratio", f"{scores['psnr']:.2f} dB"),
        ("Two standard errors", f"{scores['psnr_low']:.2f} to {scores['psnr_high']:.2f} dB"),
        ("The noisy images themselves", f"{scores['psnr_noisy']:.2f} dB"),
        ("Mean absolute error", f"{scores['mae']:.4f}"),
        ("Images", f"{scores['examples']:,}"),
    ]


def sections(rows):
    """Returns the section that shows images before and after.

    Args:
        rows: Dictionary from the label of each row to its images, `[N, H, W, C]`.
    """
    from ..page.images import compare
    from ..page.report import Section

    return [Section("Images", figures=[(compare(rows), "The first images of the test split.")])]

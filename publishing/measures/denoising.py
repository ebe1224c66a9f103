"""Taking noise off images that were never seen clean (section 3.3.4)."""

import dataclasses
from typing import ClassVar

from ...data.arguments import check_noise

LIKELIHOODS = ("gaussian", "laplace")
_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Denoising:
    """From noisy images `[B, H, W, C]` to clean ones, learned from a second noisy copy of each image.

    The best answer to a noisy target is the middle of its distribution: its mean under a Gaussian likelihood,
    its median under a Laplace one. Noise that leaves that middle at the clean pixel costs only variance.

    Args:
        noise: `gaussian`, whose mean is the clean pixel, or `impulse`, whose median is.
        level: Standard deviation of `gaussian`; probability of `impulse`, below 1/2.
        targets: `noisy`, or `clean` for comparison.
        likelihood: `gaussian` (squared error) or `laplace` (absolute error).

    Raises:
        ValueError: If a value is not one of these.

    References:
        Lehtinen et al., "Noise2Noise: Learning Image Restoration without Clean Data" (2018).
    """

    kind: ClassVar[str] = "denoising"
    unused: ClassVar[tuple[str, ...]] = ("label_smoothing", "random_labels")
    noise: str = "gaussian"
    level: float = 0.2
    targets: str = "noisy"
    likelihood: str = "gaussian"

    def __post_init__(self):
        check_noise(self.noise, self.level, self.targets)
        if self.likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood={self.likelihood!r} is not one of {', '.join(LIKELIHOODS)}")

    def loss(self, recipe):
        """Returns the negative log-likelihood of the target pixels, of unit scale."""
        from ...losses import regression

        return {"gaussian": regression.GaussianNLL, "laplace": regression.LaplaceNLL}[self.likelihood](
            scale=1.0
        )

    def metrics(self):
        """Returns none: against noisy targets a signal-to-noise ratio would say little."""
        return []

    def prepare(self, splits, seed):
        """Returns splits of (noisy images, targets), from (images, labels)."""
        from ...data.images.corruption import noisy_splits

        return noisy_splits(splits, self.noise, self.level, self.targets, seed)

    def check(self, model, spec):
        """Checks that a model takes a data set's images.

        Args:
            model: A `keras.Model` from images to images.
            spec: The data set's `Spec`.

        Raises:
            ValueError: If it does not; the message has both shapes.
        """
        from . import evaluation

        evaluation.check_images(model, spec)

    def measure(self, model, splits):
        """Measures a denoiser on the test split, against clean images.

        Args:
            model: A `keras.Model` from noisy images to clean ones.
            splits: The `Splits` that `prepare` returned.

        Returns:
            The scores: `psnr`, the mean over images of 10 log10(1 / mean squared error) in dB, with
            `psnr_low` and `psnr_high` (two standard errors each way), `psnr_noisy` of the input itself,
            `mae`, the mean absolute error, and `examples`; and (outputs, clean images), both `[N, H, W, C]`.
        """
        import numpy as np
        import tensorflow as tf

        from . import evaluation

        outputs, clean = evaluation.outputs_and_targets(model, splits.test)
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
        return scores, (outputs, clean)

    def endpoints(self, model):
        """Returns the SavedModel's one function, `serve`, from noisy images to clean ones."""
        return {"serve": lambda images: model(images, training=False)}

    def report(self, path, *, recipe, splits, scores, predictions, history, rows):
        """Writes the page about a run: scores, curves, and images before and after.

        Args:
            path: Where to write.
            recipe: The run's `Recipe`.
            splits: The `Splits` that were measured.
            scores: What `measure` returned first.
            predictions: What `measure` returned second.
            history: Lists of one number an epoch, by name.
            rows: Pairs (name, value) of the settings.
        """
        from ..page import curves
        from ..page import images as denoising
        from ..page.report import Section, write_report
        from . import evaluation

        outputs, clean = (images[:_SHOWN] for images in predictions)
        noisy = evaluation.inputs_at(splits.test, range(_SHOWN))
        before_and_after = denoising.compare({"noisy": noisy, "denoised": outputs, "clean": clean})
        training = (curves.loss_curves(history), "Every measured quantity against the epoch.")
        sections = [
            Section("Images", figures=[(before_and_after, "The first images of the test split.")]),
            Section("Training", figures=[training]),
            Section("Settings", rows=rows),
        ]
        table = [
            ("Peak signal-to-noise ratio", f"{scores['psnr']:.2f} dB"),
            ("Two standard errors", f"{scores['psnr_low']:.2f} to {scores['psnr_high']:.2f} dB"),
            ("The noisy images themselves", f"{scores['psnr_noisy']:.2f} dB"),
            ("Mean absolute error", f"{scores['mae']:.4f}"),
            ("Images", f"{scores['examples']:,}"),
        ]
        write_report(path, recipe.name, table, sections, lead=recipe.summary)

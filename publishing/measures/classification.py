"""Telling which class an image belongs to: cross-entropy, accuracy and calibration (section 1.8)."""

import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class Classification:
    """From images `[B, H, W, C]` to the logits `[B, K]` of their classes."""

    kind: ClassVar[str] = "classification"
    unused: ClassVar[tuple[str, ...]] = ()

    def loss(self, recipe):
        """Returns the negative log-likelihood of the labels, smoothed as the recipe says."""
        from ...losses.classification import CategoricalNLL

        return CategoricalNLL(label_smoothing=recipe.label_smoothing)

    def metrics(self):
        """Returns the accuracy."""
        import keras

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def prepare(self, splits, seed):
        """Returns the splits as they are: (images, labels)."""
        return splits

    def check(self, model, spec):
        """Checks that a model takes a data set's images and has its classes.

        Args:
            model: A `keras.Model` from images to logits.
            spec: The data set's `Spec`.

        Raises:
            ValueError: If it does not; the message has both shapes, or both counts.
        """
        from . import evaluation

        evaluation.check_images(model, spec)
        classes = model.output_shape[-1]
        if classes != spec.classes:
            raise ValueError(f"the model has {classes} classes, {spec.name} has {spec.classes}")

    def measure(self, model, splits):
        """Measures a classifier on the test split.

        Args:
            model: A `keras.Model` from images to logits.
            splits: The `Splits`.

        Returns:
            The scores of `losses.calibration.classification_scores`, and (logits `[N, K]`, labels `[N]`).
        """
        from ...losses import calibration
        from . import evaluation

        logits, labels = evaluation.outputs_and_targets(model, splits.test)
        return calibration.classification_scores(logits, labels), (logits, labels)

    def endpoints(self, model):
        """Returns the SavedModel's functions: `serve`, the logits, and `probabilities`, their softmax."""
        import keras

        return {
            "serve": lambda images: model(images, training=False),
            "probabilities": lambda images: keras.ops.softmax(model(images, training=False)),
        }

    def report(self, path, *, recipe, splits, scores, predictions, history, rows):
        """Writes the page about a run: scores, curves, calibration, confusions, worst mistakes.

        Args:
            path: Where to write.
            recipe: The run's `Recipe`.
            splits: The `Splits` that were measured.
            scores: What `measure` returned first.
            predictions: What `measure` returned second.
            history: Lists of one number an epoch, by name.
            rows: Pairs (name, value) of the settings.
        """
        from . import classifier_report, evaluation

        logits, labels = predictions
        classifier_report.write(
            path,
            name=recipe.name,
            description=recipe.summary,
            scores=scores,
            history=history,
            logits=logits,
            labels=labels,
            images=lambda indices: evaluation.inputs_at(splits.test, indices),
            label_names=splits.spec.labels or tuple(map(str, range(splits.spec.classes))),
            rows=rows,
        )

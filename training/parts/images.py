"""Images, labeled or not: a known data set, a folder of images by class, or the caller's own arrays."""

import dataclasses
import os
from typing import ClassVar

from ... import arguments, data
from ...data.arguments import AUGMENTATIONS
from ..settings import Part


@dataclasses.dataclass(frozen=True)
class Images(Part):
    """A set of images, and how batches are drawn from it.

    Args:
        name: A data set's name, as `curvezoo.data.images.names()` lists them, or a folder of images by class.
        batch_size: Examples per step, over all replicas together.
        subset: Training examples to keep; `None` keeps all.
        augment: Names of augmentations: `flip`, `crop`.

    Raises:
        ValueError: If a value is not valid.
    """

    kind: ClassVar[str] = "images"
    name: str
    batch_size: int = 128
    subset: int | None = None
    augment: tuple[str, ...] = ()

    def __post_init__(self):
        arguments.integer("batch_size", self.batch_size, 1)
        if self.subset is not None:
            arguments.integer("subset", self.subset, 1)
        arguments.distinct_names("augment", self.augment, AUGMENTATIONS)

    def load(self, seed, data_dir=None, splits=None):
        """Returns the `Splits`.

        Args:
            seed: Seed of the order, the augmentation and the random labels.
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, used instead of the data set `name`.

        Raises:
            ValueError: If the data set is unknown or missing, or a setting is not valid for it.
        """
        batches = self._batches() | {"seed": seed}
        if splits is not None:
            return splits.with_batches(**batches)
        if self._is_folder():
            return data.from_folder(self.name, **batches)
        return data.images.load(self.name, data_dir=data_dir, **batches)

    def load_to_measure(self, data_dir=None, splits=None):
        """Returns the `Splits` for measuring a trained model, without the training settings.

        Args:
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, returned unchanged.
        """
        if splits is not None:
            return splits
        return (
            data.from_folder(self.name)
            if self._is_folder()
            else data.images.load(self.name, data_dir=data_dir)
        )

    def spec(self):
        """Returns the data set's `Spec`."""
        if self._is_folder():
            return data.from_folder(self.name).spec
        return data.images.spec(self.name)

    def describe(self, spec, data_dir=None):
        """Returns the `data` section of a card.

        Args:
            spec: The `Spec` of the splits.
            data_dir: The folder of TensorFlow Datasets.
        """
        known = spec.name in data.images.names() and spec.source == data.images.spec(spec.name).source
        return {
            "name": spec.name,
            "provenance": data.images.provenance(spec.name, data_dir) if known else "the user's own",
            "source": spec.source,
            "licence": spec.licence,
            "note": spec.note,
            "train": spec.train,
            "validation": spec.validation,
            "test": spec.test,
        }

    def _batches(self):
        return {"batch_size": self.batch_size, "subset": self.subset, "augment": self.augment}

    def _is_folder(self):
        return self.name not in data.images.names() and os.path.isdir(os.path.expanduser(self.name))


@dataclasses.dataclass(frozen=True)
class LabeledImages(Images):
    """Images with the labels that a classifier learns.

    Args:
        name: As for `Images`.
        batch_size: As for `Images`.
        subset: As for `Images`.
        augment: As for `Images`.
        random_labels: Fraction of the training labels replaced by uniform draws, in [0, 1].

    Raises:
        ValueError: If a value is not valid.
    """

    kind: ClassVar[str] = "labeled_images"
    random_labels: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        arguments.unit_interval("random_labels", self.random_labels)

    def _batches(self):
        return super()._batches() | {"random_labels": self.random_labels}

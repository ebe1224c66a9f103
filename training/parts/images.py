"""Images, labeled or not: a known data set, a folder of images by class, or the caller's own arrays."""

import dataclasses
import os
from typing import ClassVar

from ... import arguments
from ...data import images
from ...data.arguments import AUGMENTATIONS
from .data import Data


@dataclasses.dataclass(frozen=True)
class Images(Data):
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
    noun: ClassVar[str] = "images"
    own_form: ClassVar[str] = "a folder of images by class"
    maker: ClassVar[str] = "data.from_arrays"
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
            return self.of_kind(splits).with_batches(**batches)
        if self._is_folder():
            return images.from_folder(self.name, **batches)
        return images.load(self.name, data_dir=data_dir, **batches)

    def load_to_measure(self, data_dir=None, splits=None, model=None):
        """Returns the `Splits` for measuring a trained model, without the training settings.

        Args:
            data_dir: The folder of TensorFlow Datasets; `None` for its default.
            splits: The caller's own `Splits`, returned unchanged.
            model: The trained model, which says nothing about how images are read.
        """
        if splits is not None:
            return self.of_kind(splits)
        return (
            images.from_folder(self.name) if self._is_folder() else images.load(self.name, data_dir=data_dir)
        )

    @staticmethod
    def known():
        """Returns the names of the sets of images."""
        return images.names()

    @staticmethod
    def is_own(path):
        """Returns whether a path is a folder."""
        return os.path.isdir(path)

    @staticmethod
    def describes(spec):
        """Returns whether a `Spec` is that of images."""
        return isinstance(spec, images.Spec)

    def is_known(self, spec):
        """Returns whether a `Spec` is that of the data set of its name."""
        return spec == images.spec(spec.name)

    def reshaped(self, spec, classes=None, input_shape=None):
        """Returns a `Spec` with another number of classes or another shape of an image."""
        return spec.reshaped(classes, input_shape)

    def spec(self, model=None, data_dir=None):
        """Returns the data set's `Spec`, which is the same for every model."""
        if self._is_folder():
            return images.from_folder(self.name).spec
        return images.spec(self.name)

    def describe(self, spec, data_dir=None):
        """Returns the `data` section of a card.

        Args:
            spec: The `Spec` of the splits.
            data_dir: The folder of TensorFlow Datasets.
        """
        known = spec.name in images.names() and spec.source == images.spec(spec.name).source
        return {
            "name": spec.name,
            "provenance": images.provenance(spec.name, data_dir) if known else "the user's own",
            "source": spec.source,
            "licence": spec.licence,
            "note": spec.note,
            "train": spec.train,
            "validation": spec.validation,
            "test": spec.test,
        }

    def example(self, spec, any_size):
        """Returns the size of an image in words, for a model that takes images of any size."""
        return f"an image of {'x'.join(map(str, spec.shape[:-1]))} pixels" if any_size else ""

    def _batches(self):
        return {"batch_size": self.batch_size, "subset": self.subset, "augment": self.augment}

    def _is_folder(self):
        return self.name not in images.names() and os.path.isdir(os.path.expanduser(self.name))


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

"""What the parts that name data have in common: which data of the user's they accept."""

import os
from typing import ClassVar

from ... import arguments, data
from ..settings import Part


class Data(Part):
    """Base class of the parts that name data and say how batches are drawn from it.

    A subclass is a frozen dataclass with a `name` and with `load`, `load_to_measure`, `spec` and `describe`.

    Attributes:
        noun: What the data consists of, for messages.
        own_form: What a user may give in place of a data set's name, for messages.
        maker: The functions that make the user's own `Splits`, for messages.
    """

    noun: ClassVar[str]
    own_form: ClassVar[str]
    maker: ClassVar[str]

    @staticmethod
    def known():
        """Returns the names of the data sets of this kind."""
        raise NotImplementedError

    @staticmethod
    def is_own(path):
        """Returns whether the user's data of this kind may be at a path."""
        raise NotImplementedError

    @staticmethod
    def describes(spec):
        """Returns whether a `Spec` is that of data of this kind."""
        raise NotImplementedError

    def checked(self, given):
        """Returns the name or path of data that replaces the recipe's, and the `Splits` if it is such.

        Args:
            given: A data set's name, a path, `Splits`, or `None`.

        Returns:
            The name or path, and the `Splits`; either may be `None`.

        Raises:
            ValueError: If it is none of these, or data of another kind.
        """
        if given is None:
            return None, None
        if isinstance(given, str | os.PathLike):
            name = os.fspath(given)
            if not self.is_own(os.path.expanduser(name)):
                self._check_name(name)
            return name, None
        if not isinstance(given, data.Splits):
            raise ValueError(
                f"data must be a data set's name, {self.own_form}, or Splits, as {self.maker} makes them, "
                f"got {type(given).__name__}"
            )
        name = self.of_kind(given).spec.name
        if name in self.known() and not self.is_known(given.spec):
            raise ValueError(
                f"data must not be named like a data set, got {name!r}; give {self.maker} another name"
            )
        return name, given

    def of_kind(self, splits):
        """Returns `Splits` after checking that they are of this kind.

        Args:
            splits: The `Splits`.

        Raises:
            ValueError: If they are of another kind.
        """
        if not self.describes(splits.spec):
            raise ValueError(f"data must be {self.noun}, got Splits of another kind, {splits.spec.name!r}")
        return splits

    def is_known(self, spec):
        """Returns whether a `Spec` is that of the data set of its name, not of the user's own data.

        Args:
            spec: The `Spec`.
        """
        raise NotImplementedError

    def reshaped(self, spec, classes=None, input_shape=None):
        """Returns a `Spec` with other classes or another shape of an example.

        Args:
            spec: The `Spec`.
            classes: Number of classes; `None` for those of `spec`.
            input_shape: Shape of one example; `None` for that of `spec`.

        Raises:
            ValueError: If data of this kind has neither.
        """
        for name, value in (("classes", classes), ("input_shape", input_shape)):
            if value is not None:
                raise ValueError(f"{name} must be None for a model of {self.noun}, got {value!r}")
        return spec

    def files(self, spec):
        """Returns the text files of a published folder without which the model's inputs have no meaning.

        Args:
            spec: The `Spec`.

        Returns:
            A dictionary from the names of the files to their text.
        """
        return {}

    def example(self, spec, any_size):
        """Returns what one example is, in words, where the data alone set its length or size; else nothing.

        Args:
            spec: The `Spec`.
            any_size: Whether the model takes examples of other sizes, too.
        """
        return ""

    def _check_name(self, name):
        for kind in Data.__subclasses__():
            if not isinstance(self, kind) and name in kind.known():
                raise ValueError(f"data must be {self.noun}, got {name!r}, a data set of {kind.noun}")
        try:
            arguments.known_name("data set", name, self.known())
        except ValueError as error:
            raise ValueError(f"{error}; or {self.own_form}") from None

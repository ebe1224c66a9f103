"""The fixed properties of each image set, known without reading it. This module imports nothing heavy.

Legend: H height, W width, C channels, K classes.
"""

import dataclasses

from ... import arguments

_LISTED_CLASSES = 12


@dataclasses.dataclass(frozen=True)
class Spec:
    """The fixed properties of one data set.

    Args:
        name: Name that `load` takes.
        shape: Image shape `(H, W, C)`.
        classes: Number K of classes.
        labels: The K class names in label order, or `()` if they are not listed here.
        train: Training examples, without the validation split.
        validation: Validation examples.
        test: Test examples.
        mean: Mean of each channel over the published training images, with pixels in [0, 1].
        std: Standard deviation of each channel, likewise.
        licence: Terms under which the images may be used.
        source: Whom to cite and where the images come from.
        note: What to know before citing results on this set.
        padding: Zeros on each side, in pixels, before the random crop of `augment=("crop",)`.
        levels: Number of values of a pixel.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    labels: tuple[str, ...]
    train: int
    validation: int
    test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    source: str
    note: str
    padding: int
    levels: int = 256

    def facts(self):
        """Returns {name: value} for the `repr` of `Splits`."""
        return {name: getattr(self, name) for name in ("shape", "classes", "train", "validation", "test")}

    def details(self):
        """Returns {name: value} for the table of `Splits`, with the names of the classes."""
        if not self.labels:
            return self.facts()
        names = ", ".join(self.labels[:_LISTED_CLASSES]) + (
            ", …" if len(self.labels) > _LISTED_CLASSES else ""
        )
        return self.facts() | {"classes": f"{self.classes} ({names})"}

    def reshaped(self, classes=None, shape=None):
        """Returns the properties with another number of classes or another image shape.

        If the number of channels changes, every channel gets the average mean and standard deviation.

        Args:
            classes: Number of classes; `None` for the same.
            shape: Image shape `(H, W, C)`; `None` for the same.
        """
        spec = self if classes is None else dataclasses.replace(self, classes=classes, labels=())
        if shape is None:
            return spec
        channels = tuple(shape)[-1]
        statistics = {"mean": self.mean, "std": self.std}
        if channels != len(self.mean):
            statistics = {name: (sum(v) / len(v),) * channels for name, v in statistics.items()}
        return dataclasses.replace(spec, shape=tuple(shape), **statistics)


_DIGITS = tuple("0123456789")
_VALIDATION_NOTE = "Validation is the last 5,000 images of the published training split."

_FASHION = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter
palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose
sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""

_SPECS = {
    spec.name: spec
    for spec in (
        Spec(
            name="digits",
            shape=(8, 8, 1),
            classes=10,
            labels=_DIGITS,
            train=1257,
            validation=180,
            test=360,
            mean=(0.3049,),
            std=(0.3758,),
            licence="CC BY 4.0",
            source="Alpaydin and Kaynak (1998), https://archive.ics.uci.edu/dataset/80, as in scikit-learn",
            note="Stratified split with a fixed seed of its own; pixels are k/16. "
            "Comes with scikit-learn: needs no download.",
            padding=1,
            levels=17,
        ),
        Spec(
            name="mnist",
            shape=(28, 28, 1),
            classes=10,
            labels=_DIGITS,
            train=55000,
            validation=5000,
            test=10000,
            mean=(0.1307,),
            std=(0.3081,),
            licence="CC BY-SA 3.0",
            source="LeCun, Cortes and Burges (1998), http://yann.lecun.com/exdb/mnist/",
            note=_VALIDATION_NOTE,
            padding=2,
        ),
        Spec(
            name="fashion_mnist",
            shape=(28, 28, 1),
            classes=10,
            labels=tuple(_FASHION.split()),
            train=55000,
            validation=5000,
            test=10000,
            mean=(0.2860,),
            std=(0.3530,),
            licence="MIT",
            source="Xiao, Rasul and Vollgraf (2017), https://github.com/zalandoresearch/fashion-mnist",
            note=_VALIDATION_NOTE,
            padding=2,
        ),
        Spec(
            name="svhn_cropped",
            shape=(32, 32, 3),
            classes=10,
            labels=_DIGITS,
            train=68257,
            validation=5000,
            test=26032,
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            licence="non-commercial use only",
            source="Netzer et al. (2011), http://ufldl.stanford.edu/housenumbers/",
            note=_VALIDATION_NOTE + " The 'extra' images are not used.",
            padding=4,
        ),
        Spec(
            name="cifar10",
            shape=(32, 32, 3),
            classes=10,
            labels=tuple(_CIFAR10.split()),
            train=45000,
            validation=5000,
            test=10000,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            licence="none stated; for research, with citation",
            source="Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html",
            note=_VALIDATION_NOTE
            + " Some prepared copies hold JPEG copies of the images, whose pixels differ from the "
            "published ones: data.provenance('cifar10') says which are read.",
            padding=4,
        ),
        Spec(
            name="cifar100",
            shape=(32, 32, 3),
            classes=100,
            labels=tuple(_CIFAR100.split()),
            train=45000,
            validation=5000,
            test=10000,
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            licence="none stated; for research, with citation",
            source="Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html",
            note=_VALIDATION_NOTE + " Fine labels.",
            padding=4,
        ),
        Spec(
            name="imagenet2012",
            shape=(224, 224, 3),
            classes=1000,
            labels=(),
            train=1271167,
            validation=10000,
            test=50000,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            licence="non-commercial research; terms at https://image-net.org/download",
            source="Russakovsky et al. (2015), https://image-net.org",
            note="Needs manual download. Validation is the last 10,000 training images, test the published "
            "validation split. Streamed; training images are random resized crops, flipped half of the time.",
            padding=0,
        ),
    )
}


def names() -> list[str]:
    """Returns the names that `load` accepts, the smallest set first."""
    return list(_SPECS)


def spec(name: str) -> Spec:
    """Looks up the fixed properties of a data set.

    Args:
        name: One of `names()`.

    Returns:
        Its `Spec`.

    Raises:
        ValueError: If the name is unknown.
    """
    return _SPECS[arguments.known_name("data set", name, _SPECS)]

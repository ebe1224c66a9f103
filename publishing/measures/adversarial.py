"""The measure of adversarial networks: the quality of samples, and for codes their agreement with classes.

N images, K categories.
"""

from typing import Any, NamedTuple

from ..evaluation import Evaluation
from . import sample_quality
from .measure import Measure

_SHOWN, _COLUMNS = 64, 10
# Distances compare all pairs.
_COMPARED = 1000


class Networks(NamedTuple):
    """A generator with its critic.

    Args:
        generator: A `GenerativeModel` that draws images.
        discriminator: The critic; it gives the logits of real against generated images, or a list that begins
            with them and with those of the categories.
    """

    generator: Any
    discriminator: Any


class Adversarial(Measure):
    """The quality of samples, what the critic recognizes, and the error of the codes if there are any."""

    name = "adversarial"
    columns = {  # noqa: RUF012
        "code error": lambda scores: f"{100 * scores['code_error']:.1f} %" if "code_error" in scores else "",
        **sample_quality.COLUMNS,
    }

    def brief(self, scores):
        """Returns the error of the codes, or else the distance of the samples from real images."""
        if "code_error" in scores:
            return f"{scores['code_error']:.1%} code error"
        return f"KID {scores['kid']:.3f}" if "kid" in scores else f"diversity {scores['diversity']:.2f}"

    def check(self, model, spec):
        """Checks that the networks have the image shape of a data set."""
        shape = tuple(model.generator.image_shape)
        if shape != tuple(spec.shape):
            raise ValueError(
                f"{spec.name} must have images of shape {shape}, the model's, got {tuple(spec.shape)}"
            )

    def measure(self, model, splits, data):
        """Measures a generator and its critic against the test split.

        Args:
            model: `Networks`, or a `GAN`.
            splits: The `Splits` of (images, labels).
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores: `real_accuracy` and `fake_accuracy`, the shares of test images
            and of as many samples that the critic recognizes; `diversity`, the mean distance of two samples
            in units of that of two test images, of the first 1,000 each; `examples`; if the data set
            has a published classifier, those of `sample_quality.scores_of`; and if the critic reads a
            category from images, `code_error`: the share of test images whose most probable category is not
            that of their class, in the best one-to-one matching of categories to classes, with
            `kmeans_error`, the same for clusters of the test images' pixels.
        """
        import numpy as np

        from ...theory.clustering import matching

        images, labels = map(np.concatenate, zip(*splits.test.as_numpy_iterator(), strict=True))
        drawn = model.generator.sample(len(images), seed=0)
        real, fake = (_outputs(model.discriminator, batch) for batch in (images, drawn))
        scores = {
            "real_accuracy": float((real[0] > 0).mean()),
            "fake_accuracy": float((fake[0] < 0).mean()),
            "diversity": _mean_distance(drawn) / _mean_distance(images),
            "examples": len(images),
        }
        scores |= sample_quality.scores_of(lambda count: drawn[:count], images, splits.spec.name)
        evidence = None
        if len(real) > 1:
            categories = real[1].argmax(axis=1)
            evidence, scores["code_error"] = matching(categories, labels)
            clusters = _clusters(images, real[1].shape[1])
            scores["kmeans_error"] = matching(clusters, labels)[1]
        return Evaluation(
            self.name,
            scores,
            data,
            summary=summary(scores, splits.spec),
            sections=lambda: sections(model.generator, images, evidence),
        )


def summary(scores, spec):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
        spec: The data set's `Spec`.
    """
    rows = sample_quality.summary(scores, spec.name)
    if "code_error" in scores:
        rows = [
            ("Error of the category, matched to the classes", f"{scores['code_error']:.2%}"),
            ("That of k-means", f"{scores['kmeans_error']:.2%}"),
            *rows,
        ]
    return [
        *rows,
        ("Test images that the critic recognizes", f"{scores['real_accuracy']:.1%}"),
        ("Samples that it recognizes", f"{scores['fake_accuracy']:.1%}"),
        ("Mean distance of two samples, relative to test images", f"{scores['diversity']:.3f}"),
        ("Images", f"{scores['examples']:,}"),
    ]


def sections(generator, images, classes=None):
    """Returns the sections that show samples, and what the codes change.

    Args:
        generator: The generator.
        images: Images of the test split, [N, H, W, C].
        classes: The class of each category, [K]; `None` without codes.
    """
    from ..page.images import grid
    from ..page.report import Section

    found = [
        Section(
            "Samples",
            figures=[
                (grid(generator.sample(_SHOWN, seed=0)), "Images that the generator draws."),
                (grid(images[:_SHOWN]), "Images of the test split."),
            ],
        )
    ]
    if classes is not None:
        found.append(Section("Codes", figures=list(_code_figures(generator, classes))))
    return found


def _code_figures(generator, classes):
    """Yields grids of samples, a row for each category, or a column for each value of a continuous code."""
    import numpy as np

    from ..page.images import grid

    order = np.argsort(classes[: generator.categories])
    categories = np.repeat(order, _COLUMNS)
    rows = generator.sample(len(categories), seed=0, category=categories)
    yield grid(rows, _COLUMNS), "Each row is one category, in the order of the matched classes."
    for index in range(generator.continuous):
        images = generator.traverse(index, _COLUMNS)[order]
        caption = f"Continuous code {index + 1} from -1 to 1 in each row, with the same noise."
        yield grid(images.reshape(-1, *images.shape[2:]), _COLUMNS), caption


def _mean_distance(images):
    """Returns the mean Euclidean distance of two images."""
    from scipy.spatial.distance import pdist

    return float(pdist(images[:_COMPARED].reshape(len(images[:_COMPARED]), -1)).mean())


def _outputs(critic, images, batch_size=500):
    """Returns the critic's outputs, a list of arrays [N, ...]."""
    import numpy as np
    import tensorflow as tf

    call = tf.function(lambda batch: tf.nest.flatten(critic(batch, training=False)), reduce_retracing=True)
    parts = [call(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return [np.concatenate([np.asarray(value) for value in values]) for values in zip(*parts, strict=True)]


def _clusters(images, count):
    """Returns the cluster of each image, found by k-means with at most as many clusters as images."""
    from sklearn.cluster import KMeans

    return KMeans(min(count, len(images)), n_init=3, random_state=0).fit_predict(
        images.reshape(len(images), -1)
    )

"""The measure of autoencoders: the error of their images, beside that of linear codes of the same size.

N images, D pixels times channels, Z numbers of the code.
"""

from ..evaluation import Evaluation
from .measure import Measure, check_images

_SHOWN = 8
# Training images that k-means is fitted to, which is enough for its centers.
_CLUSTERED = 10_000


class Reconstruction(Measure):
    """The squared error and the cross-entropy of an image, and the squared errors of PCA and k-means."""

    name = "reconstruction"
    columns = {  # noqa: RUF012
        "test squared error an image (± 2 s.e.)": lambda scores: (
            f"{scores['reconstruction']:.2f} ± {2 * scores['reconstruction_error']:.2f}"
        ),
        "PCA of the same size": lambda scores: f"{scores['pca']:.2f}",
        "cross-entropy, nats": lambda scores: f"{scores['cross_entropy']:.1f}",
    }

    def brief(self, scores):
        """Returns the squared error and that of PCA."""
        return f"squared error {scores['reconstruction']:.2f} an image, PCA {scores['pca']:.2f}"

    def check(self, model, spec):
        """Checks that a model has the image shape of a data set."""
        check_images(model, spec)

    def measure(self, model, splits, data):
        """Measures an autoencoder on the test split.

        Args:
            model: An `Autoencoder`.
            splits: The `Splits` of (images, pixels).
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores, means over the images: `reconstruction`, the squared error
            summed over the pixels, with its standard error `reconstruction_error`; `cross_entropy` of the
            pixels, in nats, and its lower bound `pixel_entropy`, that of a perfect reconstruction;
            `pca`, the squared error of the projection onto the first Z principal components of the training
            split; `kmeans`, that of the nearest of Z centers; `latents`, the number Z; and `examples`.
        """
        import numpy as np

        from ...losses.binary import BernoulliNLL
        from .predictions import images_of, outputs_and_targets

        logits, pixels = outputs_and_targets(model, splits.test)
        images = images_of(splits)
        made = model.reconstruct(images)
        errors = np.sum((made - images).reshape(len(images), -1).astype("float64") ** 2, axis=1)
        cross_entropy = float(BernoulliNLL()(pixels, logits))
        train = np.concatenate([batch for batch, _ in splits.train.as_numpy_iterator()])
        train, test = (array.reshape(len(array), -1) for array in (train, images))
        scores = {
            "reconstruction": errors.mean(),
            "reconstruction_error": errors.std(ddof=1) / np.sqrt(len(errors)),
            "cross_entropy": cross_entropy,
            "pixel_entropy": pixel_entropy(pixels),
            "pca": pca_error(train, test, model.latent_size),
            "kmeans": kmeans_error(train[:_CLUSTERED], test, model.latent_size),
        }
        scores = {key: float(value) for key, value in scores.items()}
        scores |= {"latents": model.latent_size, "examples": len(images)}
        rows = {"images": images[:_SHOWN], "reconstructed": made[:_SHOWN]}
        return Evaluation(self.name, scores, data, summary=summary(scores), sections=lambda: sections(rows))


def pixel_entropy(pixels):
    """Returns the mean over images of the entropy of their pixels as probabilities, in nats.

    Args:
        pixels: Pixels in [0, 1], [N, D].
    """
    import numpy as np
    from scipy.special import entr

    pixels = np.asarray(pixels, "float64")
    return np.sum(entr(pixels) + entr(1 - pixels), axis=1).mean()


def pca_error(train, test, components):
    """Returns the mean squared error of the projection onto principal components, summed over pixels.

    Args:
        train: Pixels that the components are fitted to, [N, D].
        test: Pixels to project, [N, D].
        components: Number of components; all there are if this is larger.
    """
    import numpy as np
    from sklearn.decomposition import PCA

    pca = PCA(min(components, *train.shape), svd_solver="covariance_eigh").fit(train.astype("float64"))
    projected = pca.inverse_transform(pca.transform(test))
    return np.sum((projected - test) ** 2, axis=1).mean()


def kmeans_error(train, test, clusters, seed=0):
    """Returns the mean squared distance to the nearest of k-means' centers, summed over pixels.

    Args:
        train: Pixels that the centers are fitted to, [N, D].
        test: Pixels, [N, D].
        clusters: Number of centers; that of the images if this is larger.
        seed: Seed of the first centers.
    """
    import numpy as np
    from sklearn.cluster import KMeans

    centers = KMeans(min(clusters, len(train)), n_init=1, random_state=seed).fit(train)
    return np.min(centers.transform(test) ** 2, axis=1).mean()


def summary(scores):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
    """
    size = scores["latents"]
    error = f"{scores['reconstruction']:.3f} ± {2 * scores['reconstruction_error']:.3f} (2 s.e.)"
    return [
        ("Squared error an image, summed over pixels", error),
        (f"The same for PCA with {size} components", f"{scores['pca']:.3f}"),
        (f"The same for k-means with {size} centers", f"{scores['kmeans']:.3f}"),
        ("Cross-entropy of the pixels", f"{scores['cross_entropy']:.2f} nats"),
        ("Its least value, the entropy of the pixels", f"{scores['pixel_entropy']:.2f} nats"),
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

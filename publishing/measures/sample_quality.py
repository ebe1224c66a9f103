"""The quality of images that a model draws, in the features of the zoo's classifier of the same images.

N images, D features, K classes.
"""

# The published classifier whose last hidden layer gives the features, by data set.
CLASSIFIERS = {"mnist": "cnn_mnist", "digits": "cnn_digits"}
SAMPLES = 10_000
# Precision and recall compare all pairs.
_PAIRED = 2000
_CONFIDENT = 0.9
COLUMNS = {
    "KID": lambda scores: (
        "" if "kid" not in scores else f"{scores['kid']:.3f} ± {2 * scores['kid_error']:.3f}"
    ),
    "FID": lambda scores: "" if "fid" not in scores else f"{scores['fid']:.2f}",
}


def scores_of(draw, real, name, samples=SAMPLES):
    """Returns scores of a model's samples against images of the test split.

    Args:
        draw: Function from a number N to as many images that the model draws, [N, H, W, C].
        real: The images of the test split, gray or binarized as the samples are.
        name: Name of the data set.
        samples: Largest number of images to draw; never more than there are in `real`.

    Returns:
        A dictionary, empty if no published classifier knows the data set: `kid` with `kid_error`, `fid`,
        `precision` and `recall` (of the first 2,000 images), all in the features of that classifier;
        `least_class` and `most_class`, the smallest and largest share of a predicted class; `confident`, the
        share of images whose predicted class has a probability above 0.9; and `samples`.
    """
    if name not in CLASSIFIERS:
        return {}
    import numpy as np

    from ...theory.sample_quality import frechet_distance, kernel_distance, precision_and_recall

    drawn = draw(min(samples, len(real)))
    classifier = _Classifier(CLASSIFIERS[name])
    real_features, _ = classifier(real)
    features, probabilities = classifier(drawn)
    kid, error = kernel_distance(real_features, features, block=min(1000, len(drawn) // 2))
    precision, recall = precision_and_recall(real_features[:_PAIRED], features[:_PAIRED])
    shares = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(drawn)
    scores = {
        "kid": kid,
        "kid_error": error,
        "fid": frechet_distance(real_features, features),
        "precision": precision,
        "recall": recall,
        "least_class": shares.min(),
        "most_class": shares.max(),
        "confident": (probabilities.max(axis=1) > _CONFIDENT).mean(),
    }
    return {key: float(value) for key, value in scores.items()} | {"samples": len(drawn)}


def summary(scores, name):
    """Returns the scores of the samples as rows (name, value).

    Args:
        scores: The scores.
        name: Name of the data set.
    """
    if "kid" not in scores:
        return []
    features = f"{scores['samples']:,} samples, features of {CLASSIFIERS[name]}"
    return [
        (
            f"Kernel distance (KID; {features})",
            f"{scores['kid']:.4f} ± {2 * scores['kid_error']:.4f} (2 s.e.)",
        ),
        ("Fréchet distance (FID; the same)", f"{scores['fid']:.3f}"),
        ("Precision and recall (the same)", f"{scores['precision']:.3f} and {scores['recall']:.3f}"),
        ("Share of a class, predicted", f"{scores['least_class']:.1%} to {scores['most_class']:.1%}"),
        ("Samples classified above 0.9", f"{scores['confident']:.1%}"),
    ]


def _kid(scores):
    return f"{scores['kid']:.4f} ± {2 * scores['kid_error']:.4f}"


class _Classifier:
    """A published classifier with its last hidden layer.

    Args:
        name: The classifier's name.
    """

    def __init__(self, name):
        import keras
        import tensorflow as tf

        from .. import saved_model

        model = saved_model.load(name)
        head = model.layers[-1]
        both = keras.Model(model.inputs, [head.input, keras.ops.softmax(head.output)])
        self._call = tf.function(lambda x: both(x, training=False), reduce_retracing=True)

    def __call__(self, images, batch_size=500):
        """Returns the features [N, D] and the probabilities [N, K] of images."""
        import numpy as np

        starts = range(0, len(images), batch_size)
        parts = [self._call(images[i : i + batch_size]) for i in starts]
        return tuple(np.concatenate([np.asarray(part[i], "float64") for part in parts]) for i in range(2))

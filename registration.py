"""Registers every class of curvezoo with Keras by name, without importing Keras or the class.

After `import curvezoo`, before or after `import keras`, `keras.models.load_model` reads any model saved with
curvezoo's layers, losses, regularizers, schedules and optimizers. Keras looks a class up in
`keras.saving.get_custom_objects()` under its registered name, such as `curvezoo>KFAC`. `install` puts a
`DeferredClass` there for each name, which imports the class when Keras first uses it. The import replaces the
entry with the class itself.

Without curvezoo, Keras refuses such a file: `TypeError: Could not locate class 'KFAC'`. A file saved from a
model of plain Keras layers, compiled with a plain Keras optimizer and loss, needs no curvezoo.
"""

import importlib
import importlib.util
import sys

# Every class that `@keras.saving.register_keras_serializable("curvezoo")` registers, by module.
CLASSES = {
    "agents.actions": ("CategoricalActions", "DeterministicActions", "GaussianActions", "ValuedActions"),
    "agents.policies": ("Policy",),
    "layers.attention": ("MultiHeadAttention",),
    "layers.causal_conv": ("CausalConv2D", "GatedCausalBlock"),
    "layers.conv": ("ConvBlock",),
    "layers.coupling": ("AffineCoupling", "CouplingNetwork"),
    "layers.dense": ("DenseBlock",),
    "layers.feed_forward": ("FeedForward",),
    "layers.invertible_convolution": ("InvertibleConvolution",),
    "layers.log_std": ("LogStd",),
    "layers.normalization": ("BatchNormalization",),
    "layers.pixel_bijections": ("Gaussianization", "Logit"),
    "layers.positions": ("LearnedPositions", "SinusoidalPositions"),
    "layers.recurrent": ("LSTM", "LayerNormLSTM", "ReLURNN"),
    "layers.residual": ("ResidualBlock", "ResidualDense"),
    "layers.running_normalization": ("RunningNormalization",),
    "layers.sampling": ("GaussianSampling", "GumbelSoftmax", "StraightThrough"),
    "layers.scale": ("GlobalScale",),
    "layers.squeeze": ("Squeeze",),
    "layers.transformer": ("TransformerBlock",),
    "layers.unit_variance": ("UnitVarianceConv2D", "UnitVarianceDense"),
    "layers.weight_norm": ("WeightNormalization",),
    "losses.bandit_feedback": ("BanditPolicyGradient", "BanditQLoss"),
    "losses.binary": ("BernoulliNLL",),
    "losses.calibration_error": ("ExpectedCalibrationError",),
    "losses.classification": ("CategoricalNLL",),
    "losses.density": ("NegativeLogDensity",),
    "losses.likelihood": ("NegativeLogLikelihood",),
    "losses.masked": ("MaskedCategoricalNLL",),
    "losses.mixture": ("MixtureNLL",),
    "losses.priors": ("GaussianPrior", "LaplacePrior", "PowerPenalty"),
    "losses.regression": ("CauchyNLL", "GaussianNLL", "Huber", "LaplaceNLL", "StudentTNLL"),
    "losses.variational": ("Divergence", "NegativeELBO", "NegativeImportanceWeightedBound"),
    "optimizers.acceleration": ("Acceleration",),
    "optimizers.evolution": ("Evolution",),
    "optimizers.full_batch.conjugate_gradient": ("ConjugateGradient",),
    "optimizers.full_batch.quasi_newton": ("BFGS", "LBFGS"),
    "optimizers.hessian_free": ("HessianFree",),
    "optimizers.kfac.optimizer": ("KFAC",),
    "optimizers.natural_gradient": ("NaturalGradient",),
    "optimizers.newton": ("Newton",),
    "optimizers.rmsprop": ("RMSProp",),
    "optimizers.schedules": ("Warmup",),
    "zoo.generative.autoencoder": ("Autoencoder",),
    "zoo.generative.dcgan": ("DCGANGenerator",),
    "zoo.generative.gan": ("GAN",),
    "zoo.generative.infogan": ("InfoGAN", "InfoGANGenerator"),
    "zoo.generative.pixelcnn": ("PixelCNN",),
    "zoo.generative.realnvp": ("RealNVP",),
    "zoo.generative.vae": ("VAE",),
    "zoo.language.recurrent": ("RecurrentLanguageModel",),
    "zoo.language.transformer": ("TransformerLanguageModel",),
    "zoo.language.translator": ("Translator",),
}


def install():
    """Registers every class with Keras, at once if Keras is already imported and otherwise on its import."""
    if "keras" in sys.modules:
        register(sys.modules["keras"])
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def register(keras):
    """Adds a `DeferredClass` for each class that Keras does not know yet.

    Args:
        keras: The imported module `keras`.
    """
    registry = keras.saving.get_custom_objects()
    for module, names in CLASSES.items():
        for name in names:
            registry.setdefault(f"{__package__}>{name}", DeferredClass(f"{__package__}.{module}", name))


class DeferredClass:
    """A placeholder for a class in Keras's registry, which imports the class on first use.

    Args:
        module: The full name of the module that defines the class.
        name: The name of the class.
    """

    def __init__(self, module, name):
        self._module = module
        self._name = name

    def __call__(self, *args, **kwargs):
        """Returns an instance of the class."""
        return self._load()(*args, **kwargs)

    def __getattr__(self, attribute):
        # Copying, pickling and displaying look up private attributes, for which the class is not needed.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(self._load(), attribute)

    def __repr__(self):
        return f"<deferred class {self._module}.{self._name}>"

    def _load(self):
        return getattr(importlib.import_module(self._module), self._name)


class _KerasFinder:
    """An import finder that registers the classes as soon as `keras` has been imported."""

    def __init__(self):
        self._searching = False

    def find_spec(self, name, path=None, target=None):
        """Returns the spec of `keras` with a loader that registers the classes; `None` for other modules."""
        if name != "keras" or self._searching:
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, self)
        return spec


class _RegisteringLoader:
    """A loader that runs the loader of `keras` and then registers the classes."""

    def __init__(self, loader, finder):
        self._loader = loader
        self._finder = finder

    def __getattr__(self, attribute):
        return getattr(self._loader, attribute)

    def create_module(self, spec):
        """Returns what the loader of `keras` returns."""
        return self._loader.create_module(spec)

    def exec_module(self, module):
        """Imports Keras with its own loader, then registers the classes."""
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        register(module)

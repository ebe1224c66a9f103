from . import adaptive_batch as adaptive_batch
from . import callback as callback
from . import estimators as estimators
from .adaptive_batch import AdaptiveBatch as AdaptiveBatch
from .callback import GradientNoiseScale as GradientNoiseScale

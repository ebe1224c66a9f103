from . import augmentation as augmentation
from .arrays import from_arrays as from_arrays
from .loading import load as load
from .loading import provenance as provenance
from .specs import Spec as Spec
from .specs import names as names
from .specs import spec as spec
from .splits import Splits as Splits

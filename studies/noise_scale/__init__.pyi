from . import batch_size_sweep as batch_size_sweep
from . import measurement as measurement
from . import problem as problem
from . import study as study
from .zoo_model import study_noise_scale as study_noise_scale

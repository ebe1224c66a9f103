from . import damping as damping
from . import optimizer as optimizer
from . import preconditioners as preconditioners
from . import quadratic as quadratic
from . import signal as signal
from . import statistics as statistics
from .optimizer import KFAC as KFAC

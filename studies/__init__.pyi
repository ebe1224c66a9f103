from . import noise_scale as noise_scale
from . import optimizer_comparison as optimizer_comparison
from . import style_transfer as style_transfer
from .gradient_check import gradient_check as gradient_check

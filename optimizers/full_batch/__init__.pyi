from . import conjugate_gradient as conjugate_gradient
from . import optimizer as optimizer
from . import quasi_newton as quasi_newton
from .conjugate_gradient import ConjugateGradient as ConjugateGradient
from .optimizer import Result as Result
from .quasi_newton import BFGS as BFGS
from .quasi_newton import LBFGS as LBFGS
from .quasi_newton import fit_lbfgs as fit_lbfgs

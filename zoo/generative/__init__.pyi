from . import model as model
from .model import DensityModel as DensityModel
from .model import GenerativeModel as GenerativeModel

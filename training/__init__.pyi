from . import checkpoints as checkpoints
from . import strategies as strategies
from .recipe import Recipe as Recipe
from .runs import train as train
from .strategies import make_strategy as make_strategy

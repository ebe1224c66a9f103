from . import bandits as bandits
from . import knapsack as knapsack
from . import q_learning as q_learning
from . import tabular as tabular
from .knapsack import Knapsack as Knapsack
from .knapsack import KnapsackEnvironment as KnapsackEnvironment
from .tabular import FiniteMDP as FiniteMDP

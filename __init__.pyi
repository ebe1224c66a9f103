from . import agents as agents
from . import data as data
from . import figures as figures
from . import layers as layers
from . import losses as losses
from . import optimizers as optimizers
from . import publishing as publishing
from . import studies as studies
from . import theory as theory
from . import training as training
from . import zoo as zoo

__version__: str

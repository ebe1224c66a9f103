from .acktr import ACKTR as ACKTR
from .evaluation import Episodes as Episodes
from .evaluation import evaluate as evaluate
from .policies import Policy as Policy
from .ppo import PPO as PPO
from .trpo import TRPO as TRPO
from .vpg import VPG as VPG

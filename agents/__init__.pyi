from .evaluation import Episodes as Episodes
from .evaluation import evaluate as evaluate
from .policies import Policy as Policy
from .ppo import PPO as PPO

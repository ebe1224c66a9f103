from .c51 import C51 as C51
from .ddpg import DDPG as DDPG
from .dqn import DQN as DQN
from .evaluation import Episodes as Episodes
from .evaluation import evaluate as evaluate
from .policies import Policy as Policy
from .ppo import PPO as PPO
from .qr_dqn import QRDQN as QRDQN

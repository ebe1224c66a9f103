"""Games of the Atari 2600 as agents see them: the preprocessing of Mnih et al. (2015), without OpenCV.

Legend: H height and W width of the screen.
"""

import collections

import gymnasium
import numpy as np

from .. import arguments

SIZE, STACKED, FRAMES = 84, 4, 4
"""Height and width of an observation, screens in it, and frames of the game in a step."""

_IDLE = 30


def make_game(name, learning, settings):
    """Returns a game by its id, without sticky actions.

    Args:
        name: An id such as `ALE/Pong-v5`.
        learning: As for `Screens`.
        settings: Further arguments of `gymnasium.make`, a dictionary.

    Raises:
        ValueError: If ale-py is not installed.
    """
    register(name)
    fixed = {"obs_type": "grayscale", "frameskip": 1, "repeat_action_probability": 0.0}
    return Screens(gymnasium.make(name, **fixed, **settings), learning)


def register(name):
    """Adds the ids of all games to Gymnasium's registry.

    Args:
        name: The id that is wanted, for the message.

    Raises:
        ValueError: If ale-py is not installed.
    """
    try:
        import ale_py
    except ImportError:
        raise ValueError(f"{name} needs ale-py: pip install 'curvezoo[atari]'") from None
    gymnasium.register_envs(ale_py)


class Screens(gymnasium.Wrapper):
    """A game whose observations are the screens after the last four steps, uint8 [84, 84, 4].

    An action is repeated for four frames. A screen is the maximum of the last two of them, because some games
    draw their objects in every other frame only. A game begins with 1 to 30 idle frames, which makes games
    different. For learning, a reward is the sign of the score's change, and each life is an episode of its
    own; the next one then goes on in the same game.

    Args:
        game: The game, one frame a step, with gray screens.
        learning: Whether the game is played for learning, not for its score.

    References:
        Mnih et al., "Human-level control through deep reinforcement learning" (2015).
    """

    def __init__(self, game, learning):
        super().__init__(game)
        self.learning = arguments.boolean("learning", learning)
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, STACKED), np.uint8)
        height, width = game.observation_space.shape
        self._down, self._across = area_weights(height, SIZE), area_weights(width, SIZE).T
        self._screens = collections.deque(maxlen=STACKED)
        self._lives, self._over = 0, True

    def reset(self, *, seed=None, options=None):
        """Begins a new game, or the next life of the running one.

        Args:
            seed: Seed of a new game; `None` to go on after a lost life.
            options: Options of Gymnasium.

        Returns:
            The observation, whose four screens are equal, and the information of the game.
        """
        if seed is None and not self._over:
            screen, _, terminated, truncated, info = self.env.step(0)
            self._over = terminated or truncated
        else:
            self._over = True
        if self._over:
            screen, info = self.env.reset(seed=seed, options=options)
            for _ in range(self.np_random.integers(1, _IDLE + 1)):
                screen, _, terminated, truncated, info = self.env.step(0)
                if terminated or truncated:
                    screen, info = self.env.reset(options=options)
            self._over = False
        self._lives = info.get("lives", 0)
        self._screens.extend([self._shrunk(screen)] * STACKED)
        return self._observation(), info

    def step(self, action):
        """Repeats an action for four frames.

        Args:
            action: The action.

        Returns:
            Observation, reward, whether the episode has terminated, whether it was truncated, information.
        """
        total, screens = 0.0, []
        for _ in range(FRAMES):
            screen, reward, terminated, truncated, info = self.env.step(action)
            total += reward
            screens.append(screen)
            if terminated or truncated:
                break
        self._screens.append(self._shrunk(np.maximum(*screens[-2:]) if len(screens) > 1 else screens[0]))
        self._over = terminated or truncated
        lives = info.get("lives", 0)
        if self.learning:
            total = float(np.sign(total))
            terminated = terminated or lives < self._lives
        self._lives = lives
        return self._observation(), total, terminated, truncated, info

    def _shrunk(self, screen):
        return np.rint(self._down @ screen.astype("float32") @ self._across).astype("uint8")

    def _observation(self):
        return np.stack(self._screens, axis=-1)


def area_weights(size, parts):
    """Returns the matrix that averages pixels over equal parts of an axis, float32 [parts, size].

    A pixel on the boundary of two parts counts in each by its share.

    Args:
        size: Number of pixels.
        parts: Number of parts, at most `size`.
    """
    edges = np.linspace(0, size, parts + 1)[:, None]
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (np.clip(overlap, 0, None) * parts / size).astype("float32")

r"""Losses of a classifier that learns whether a label that it chose is right, not which one is (section 8.4).

The label is the action a of a contextual bandit, the input x its state, and R(a|x) its reward: 1 for the true
label and 0 for any other. With p = softmax(logits), the action is drawn from the behavior policy

    b(y|x) = (1 - epsilon) p(y|x) + epsilon / K                     policy gradients
    b(y|x) = (1 - epsilon) [y = argmax p(y|x)] + epsilon / K        Q-learning, Eq. 8.4.2 at epsilon = 0

and only R(a|x) is seen. Weighted by w, the surrogate -w R(a|x) log p(a|x) of the policy gradient (Eq. 8.4.3)
has an expected gradient that depends on w:

    w = p(a|x) / b(a|x)   -sum_y R(y|x) grad p(y|x), minus that of the expected accuracy (Eq. 8.4.6)
    w = 1 / b(a|x)        -sum_y R(y|x) grad log p(y|x), that of supervised learning (Eq. 8.4.5)
    w = 1                 (1 - epsilon) times the first plus epsilon / K times the second

Legend: B batch, T positions, K labels, ... axes of examples, such as [B] or [B, T].
"""

import keras
from keras import ops

from .. import arguments
from .bandit_arguments import check_weighting
from .classification import labels_and_logits
from .likelihood import Likelihood


def behavior(logits, epsilon=0.0, greedy=False):
    """Returns the probabilities b of the actions: the policy, mixed with a uniform distribution.

    Args:
        logits: Logits, [..., K].
        epsilon: Probability of a uniformly random action, in [0, 1].
        greedy: Whether the other actions are argmax p (Eq. 8.4.2; the first one if several are largest). By
            default they are drawn from p.

    Returns:
        Probabilities, [..., K].

    Raises:
        ValueError: If `epsilon` is not a number in [0, 1], or `greedy` is not a Boolean.

    Example:
        >>> behavior([[0.0, 5.0]], epsilon=0.5, greedy=True).numpy().tolist()
        [[0.25, 0.75]]
    """
    epsilon = arguments.number("epsilon", epsilon, 0, 1)
    # A copy, because argmax cannot read a tf.Variable.
    logits = ops.copy(ops.convert_to_tensor(logits))
    labels = logits.shape[-1]
    if arguments.boolean("greedy", greedy):
        policy = ops.one_hot(ops.argmax(logits, axis=-1), labels, dtype=logits.dtype)
    else:
        policy = ops.softmax(logits, axis=-1)
    return (1 - epsilon) * policy + epsilon / labels


def draw_actions(probabilities, seed):
    """Draws an action for each example.

    Args:
        probabilities: Probabilities of the actions, [..., K].
        seed: A `keras.random.SeedGenerator`, or an integer, which gives the same actions in every call.

    Returns:
        Actions in 0 ... K-1, int32, [...]. An action of probability zero is never drawn.
    """
    cumulative = ops.cumsum(ops.convert_to_tensor(probabilities), axis=-1)
    total = cumulative[..., -1:]
    uniform = keras.random.uniform(ops.shape(total), dtype=total.dtype, seed=seed)
    return ops.sum(ops.cast(cumulative <= uniform * total, "int32"), axis=-1)


def chosen(values, actions):
    """Returns the entries of the actions, [...].

    Args:
        values: One value for each label, [..., K].
        actions: Actions, integers, [...].
    """
    return ops.take_along_axis(values, ops.cast(actions, "int32")[..., None], axis=-1)[..., 0]


def policy_gradient_surrogate(logits, actions, advantages, weights=1.0):
    r"""Returns the surrogate loss of each example, whose gradient is that of the policy (Eq. 8.4.3).

    \[ L_{RL} = -w A \log p(a|x) \]

    No gradient passes through A and w.

    Args:
        logits: Logits, [..., K].
        actions: The chosen labels a, integers, [...].
        advantages: A, the rewards R(a|x) of the actions, less a baseline if there is one, [...].
        weights: Importance weights w, [...] or a number.

    Returns:
        Losses, [...].

    References:
        Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning"
            (1992).
    """
    log_probabilities = chosen(ops.log_softmax(ops.convert_to_tensor(logits), axis=-1), actions)
    factors = [ops.convert_to_tensor(each, log_probabilities.dtype) for each in (weights, advantages)]
    factor = ops.stop_gradient(factors[0] * factors[1])
    # The product of zero and minus infinity, that of a label that is excluded, is not defined.
    counted = ops.where(factor == 0, ops.zeros_like(log_probabilities), log_probabilities)
    return -factor * counted


def q_loss(logits, actions, rewards):
    r"""Returns the squared error of the chosen label's value, with p(a|x) as the Q-function (Eq. 8.4.7).

    \[ L_Q = \frac{1}{2} (R(a|x) - p(a|x))^2 \]

    Averaged over uniformly random actions, it is 1 / 2K of the squared error summed over labels, the Brier
    score if R is 1 for one label. Unlike the surrogate without a baseline, it has a gradient if R = 0: the
    example teaches what x is not.

    Args:
        logits: Logits, [..., K].
        actions: The chosen labels a, integers, [...].
        rewards: Their rewards R(a|x), [...].

    Returns:
        Losses, [...], at most 1/2 for rewards in [0, 1].
    """
    values = chosen(ops.softmax(ops.convert_to_tensor(logits), axis=-1), actions)
    return 0.5 * ops.square(ops.cast(rewards, values.dtype) - values)


def leave_one_out_mean(rewards):
    """Returns the mean of all other rewards for each one, a baseline that does not depend on its own action.

    Args:
        rewards: Rewards of independent actions, [...].

    Returns:
        Means, [...]; 0 for a single reward.
    """
    rewards = ops.convert_to_tensor(rewards)
    others = ops.cast(ops.size(rewards) - 1, rewards.dtype)
    return (ops.sum(rewards) - rewards) / ops.maximum(others, 1)


class _BanditFeedback(Likelihood):
    """Draws an action for each example, and compares it with the label for the reward.

    A subclass defines `greedy`, and `_losses(logits, probabilities, actions, rewards)`.
    """

    greedy = False

    def __init__(self, epsilon, seed, reduction, name, dtype):
        super().__init__(reduction, name, dtype)
        self.epsilon = arguments.unit_interval("epsilon", epsilon)
        self.seed = None if seed is None else arguments.seed("seed", seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    @property
    def variables(self):
        """The state of the generator of the actions, which a run must store to resume with the same ones."""
        return [self.seed_generator.state]

    def call(self, y_true, y_pred):
        """Draws actions and returns the loss of each example, [...].

        Args:
            y_true: Integer labels, [...]; a last axis of 1 may be added. A label that is not in 0 ... K-1 is
                never rewarded.
            y_pred: Logits, [..., K].

        Raises:
            ValueError: If the shapes do not match these.
        """
        labels, logits = labels_and_logits(y_true, y_pred, self.dtype)
        probabilities = ops.stop_gradient(behavior(logits, self.epsilon, self.greedy))
        actions = draw_actions(probabilities, self.seed_generator)
        rewards = ops.cast(ops.equal(actions, ops.cast(labels, "int32")), self.dtype)
        return self._losses(logits, probabilities, actions, rewards)

    def get_config(self):
        """Returns the arguments that rebuild this loss; the state of its generator is not among them."""
        return {**super().get_config(), "epsilon": self.epsilon, "seed": self.seed}


@keras.saving.register_keras_serializable("curvezoo")
class BanditPolicyGradient(_BanditFeedback):
    """Policy gradient of labels that are drawn from the policy, or at random (Eq. 8.4.3 and 8.4.6).

    Each call draws new actions, also in `evaluate`. The value of the loss is no measure of success, since it
    is zero where no action is rewarded; the accuracy is one.

    Args:
        epsilon: Probability of a uniformly random label, in [0, 1].
        weighting: Importance weights. `policy`, p / b, keeps the gradient that of the expected accuracy (Eq.
            8.4.6) for any `epsilon`; `likelihood`, 1 / b, gives that of supervised learning (Eq. 8.4.5);
            `None` gives each example the weight 1, which is a mixture of both.
        baseline: `batch` subtracts from each reward the mean reward of the other examples, which leaves the
            expected gradient as it is and reduces its variance late in training; `None` subtracts nothing.
        seed: Seed of the actions; `None` for a random one.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If a value is not one of these, `epsilon` is 0 with the weighting `likelihood`, whose
            variance would be infinite where p vanishes, or there is a baseline with another weighting than
            `policy`, which it would bias.

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 8.4.
        Swaminathan and Joachims, "Counterfactual Risk Minimization: Learning from Logged Bandit Feedback"
            (2015), arXiv:1502.02362.
    """

    def __init__(
        self,
        epsilon=0.0,
        weighting="policy",
        baseline=None,
        seed=None,
        reduction="sum_over_batch_size",
        name="bandit_policy_gradient",
        dtype=None,
    ):
        super().__init__(epsilon, seed, reduction, name, dtype)
        check_weighting(self.epsilon, weighting, baseline)
        self.weighting, self.baseline = weighting, baseline

    def _losses(self, logits, probabilities, actions, rewards):
        weights = ops.ones_like(rewards)
        # At epsilon = 0 the policy is b, and dividing p by itself would fail where it underflows.
        if self.weighting == "policy" and self.epsilon:
            weights = chosen(ops.softmax(logits, axis=-1), actions) / chosen(probabilities, actions)
        elif self.weighting == "likelihood":
            weights = 1 / chosen(probabilities, actions)
        advantages = rewards - leave_one_out_mean(rewards) if self.baseline == "batch" else rewards
        return policy_gradient_surrogate(logits, actions, advantages, weights)

    def get_config(self):
        """Returns the arguments that rebuild this loss; the state of its generator is not among them."""
        return {**super().get_config(), "weighting": self.weighting, "baseline": self.baseline}


@keras.saving.register_keras_serializable("curvezoo")
class BanditQLoss(_BanditFeedback):
    """Squared error of the value of an epsilon-greedy label, with softmax(logits) as values (Eq. 8.4.7).

    Each call draws new actions, also in `evaluate`.

    Args:
        epsilon: Probability of a uniformly random label, in [0, 1]; the others are argmax Q.
        seed: Seed of the actions; `None` for a random one.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If a value is not one of these.

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 8.4.
    """

    greedy = True

    def __init__(
        self,
        epsilon=0.1,
        seed=None,
        reduction="sum_over_batch_size",
        name="bandit_q_loss",
        dtype=None,
    ):
        super().__init__(epsilon, seed, reduction, name, dtype)

    def _losses(self, logits, probabilities, actions, rewards):
        return q_loss(logits, actions, rewards)

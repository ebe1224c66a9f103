"""The learner of agents: several agents with different seeds, trained one after another."""

import dataclasses

import numpy as np

from ..publishing import measures
from ..publishing.exports import Endpoint, Export, forward
from .learner import Learner
from .reinforcement import policy_names

_GOLDEN_OBSERVATIONS = 8


class ReinforcementLearner(Learner):
    """Trains the agents of a `Reinforcement` recipe.

    Args:
        recipe: The `Reinforcement` recipe.
        resources: The run's `Resources`; `data` must be `None`.

    Raises:
        ValueError: If the environment does not exist or the algorithm can't act in it.
    """

    unit = "report"

    def __init__(self, recipe, resources):
        self.recipe, self._strategy = recipe, resources.strategy
        recipe.checked_data(recipe.settings(), resources.data)
        self.total = recipe.agents * recipe.reports
        self.agents = [recipe.new_agent(recipe.seed, resources.strategy)]
        # Steps and running return at each report.
        self._curve = []

    @property
    def learning_rate(self):
        """The current learning rate; `None` if there is not one."""
        optimizer = getattr(self.agents[-1], "optimizer", None)
        return None if optimizer is None else float(np.asarray(optimizer.learning_rate))

    def state(self):
        """Returns the states of all agents so far."""
        states = {
            f"{index}/{name}": value
            for index, agent in enumerate(self.agents)
            for name, value in agent.state().items()
        }
        # No return is known before the first episode has ended.
        steps, returns = np.array(self._curve).reshape(-1, 2).T
        return states | {"curve": np.stack([steps, np.nan_to_num(returns), np.isfinite(returns)], 1)}

    def restore(self, state):
        """Makes as many agents as the state has, and takes over theirs."""
        self._curve = [(steps, value if known else np.nan) for steps, value, known in state["curve"].tolist()]
        while any(name.startswith(f"{len(self.agents)}/") for name in state):
            self._add()
        for index, agent in enumerate(self.agents):
            prefix = f"{index}/"
            own = {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}
            agent.restore(own)

    def train(self, start, after):
        """Trains from report `start` to the last."""
        recipe = self.recipe
        for number in range(start, self.total):
            index, part = divmod(number, recipe.reports)
            while len(self.agents) <= index:
                self._add()
            agent = self.agents[index]
            goal = recipe.steps * (part + 1) // recipe.reports
            logs = {"agent": index, "steps": agent.steps}
            if agent.steps < goal:
                begin = agent.steps
                rows = agent.learn(
                    goal - agent.steps,
                    planned=recipe.steps,
                    progress=False,
                    report=lambda done, row, whole=goal - begin: after.step(min(done, whole), whole, row),
                )
                logs |= averaged(rows)
            self._curve.append((agent.steps, logs.get("return", np.nan)))
            if after(logs):
                return

    def evaluate(self):
        """Plays episodes with the policy of each agent."""
        from ..publishing.page.learning_curves import section

        place = self.recipe.environment
        policies = [agent.policy for agent in self.agents]
        evaluation = measures.get("returns").measure(policies, place.name, place.describe())
        curves = np.split(
            np.array(self._curve), range(self.recipe.reports, len(self._curve), self.recipe.reports)
        )
        return dataclasses.replace(evaluation, sections=lambda: [section(curves), *evaluation.sections()])

    def exports(self):
        """Returns the policies, each with the endpoint `act`."""
        names = policy_names(len(self.agents))
        return [export(agent, name) for agent, name in zip(self.agents, names, strict=True)]

    def _add(self):
        self.agents.append(self.recipe.new_agent(self.recipe.seed + len(self.agents), self._strategy))


def averaged(rows):
    """Returns the means of the logs of several updates, and the last of those that accumulate.

    Args:
        rows: Logs, a list of dictionaries.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    latest = {name: rows[-1][name] for name in ("steps", "return") if name in rows[-1]}
    return means | latest


def export(agent, name=""):
    """Returns the `Export` of an agent's policy.

    `serve` takes observations `[B, *O]` and returns the policy's outputs: logits, means and log standard
    deviations, or values. `act` takes observations, an int32 seed and whether to take the best action; it
    returns actions within the environment's bounds. Those of a policy with a name end in `_NAME`.

    Args:
        agent: The agent.
        name: Name of the policy in the folder.
    """
    import tensorflow as tf

    policy, space = agent.policy, agent.environments.observation_space
    kind = agent.environments.observations.dtype
    # Networks compute in float32.
    kind = np.dtype("float32") if kind == np.float64 else kind
    observed = tf.TensorSpec((None, *policy.observation_shape), kind, name="observations")
    drawn = [tf.TensorSpec((), tf.int32, name="seed"), tf.TensorSpec((), tf.bool, name="deterministic")]
    space.seed(0)
    golden = np.stack([space.sample() for _ in range(_GOLDEN_OBSERVATIONS)]).clip(-10, 10).astype(kind)

    def act(observations, seed, deterministic):
        return policy.chosen(observations, tf.stack([seed, 0]), deterministic)

    suffix = f"_{name}" if name else ""
    endpoints = {
        f"serve{suffix}": Endpoint(forward(policy), [observed], (golden,)),
        f"act{suffix}": Endpoint(act, [observed, *drawn], (golden, np.int32(0), np.bool_(True))),
    }
    return Export(policy, endpoints, name=name)

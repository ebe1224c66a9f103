"""The measure of agents: the undiscounted returns of whole episodes."""

from ..evaluation import Evaluation
from .measure import Measure

EPISODES = 100
# Seed of the first episode. Training begins its episodes with small seeds.
_SEED = 1_000_000


class Returns(Measure):
    """The return of an episode, over the policies of several agents with different seeds."""

    name = "returns"
    columns = {  # noqa: RUF012
        "return of an episode (mean ± std)": lambda scores: (
            f"{scores['return_mean']:.1f} ± {scores['return_std']:.1f}"
        ),
        "of the agents": lambda scores: ", ".join(f"{value:.1f}" for value in _of_agents(scores)),
        "episodes": lambda scores: f"{scores['episodes']}",
    }

    def brief(self, scores):
        """Returns the mean return and its spread."""
        return f"return {scores['return_mean']:.1f} ± {scores['return_std']:.1f}"

    def check(self, model, spec):
        """Checks nothing: playing does."""

    def measure(self, model, splits, data):
        """Plays 100 episodes with each policy, which takes its best actions.

        Args:
            model: The policies, a list of `Policy`.
            splits: The id of the environment.
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with the scores `return_mean` and `return_std`, over all episodes of all
            policies; `episodes`, their number; and the mean of each policy, `return_mean_0` and so on.
        """
        import numpy as np

        from ...agents.evaluation import evaluate

        played = [evaluate(policy, splits, EPISODES, _SEED).returns for policy in model]
        returns = np.concatenate(played)
        scores = {
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "episodes": len(returns),
            **{f"return_mean_{index}": float(one.mean()) for index, one in enumerate(played)},
        }
        summary = [
            ("Mean return of an episode", f"{scores['return_mean']:.2f}"),
            ("Standard deviation over the episodes", f"{scores['return_std']:.2f}"),
            ("Mean return of each agent", ", ".join(f"{value:.2f}" for value in _of_agents(scores))),
            ("Episodes", f"{scores['episodes']:,}"),
        ]
        return Evaluation(
            self.name, scores, data, split="episodes", summary=summary, sections=lambda: sections(played)
        )


def _of_agents(scores):
    return [value for name, value in scores.items() if name.startswith("return_mean_")]


def sections(played):
    """Returns the section that shows the returns of all episodes.

    Args:
        played: The returns of each agent's episodes, a list of arrays.
    """
    import numpy as np
    from matplotlib.figure import Figure

    from ..page.report import Section

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(min(map(np.min, played)), max(map(np.max, played)) + 1e-9, 41)
    axes.hist(played, edges, stacked=True, label=[f"agent {index}" for index in range(len(played))])
    axes.set(xlabel="return of an episode", ylabel="episodes")
    axes.legend(frameon=False)
    return [Section("Episodes", figures=[(figure, "Returns of all evaluation episodes.")])]

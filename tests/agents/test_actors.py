import concurrent.futures
import functools
import os
import signal

import numpy as np
import pytest

from curvezoo.agents import PPO
from curvezoo.agents.actors import completed

SMALL = {"hidden": (8,), "rollout": 16, "minibatch": 32, "epochs": 2, "copies": 4}


class Serial(concurrent.futures.Executor):
    """Runs everything in this process."""

    def submit(self, function, *args):
        future = concurrent.futures.Future()
        future.set_result(function(*args))
        return future


def learned(executor, actors, steps=192):
    agent = PPO("CartPole-v1", **SMALL, executor=executor, actors=actors)
    logs = agent.learn(steps, progress=False)
    return agent, [row["return"] for row in logs if "return" in row]


def test_one_actor_plays_what_the_learner_itself_would():
    (one, returns), (other, same) = learned(None, 1), learned(Serial(), 1)
    assert returns == same
    for weight, expected in zip(other.policy.weights, one.policy.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    for array, expected in zip(other.environments.observations, one.environments.observations, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_worker_processes_play_what_this_process_would():
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        (one, returns), (other, same) = learned(Serial(), 2, 64), learned(pool, 2, 64)
    assert returns == same
    np.testing.assert_array_equal(one.environments.observations, other.environments.observations)


def die(path, number):
    if number == 1 and not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_the_tasks_of_a_lost_worker_are_run_again(tmp_path):
    task = functools.partial(die, str(tmp_path / "died"))
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        assert completed(pool, task, [0, 1, 2]) == [0, 1, 4]
    assert (tmp_path / "died").exists()


def test_the_number_of_actors_must_divide_the_copies():
    with pytest.raises(ValueError, match="actors must divide the 4 copies, got 3"):
        PPO("CartPole-v1", **SMALL, executor=Serial(), actors=3)


def test_copies_that_can_not_be_pickled_are_refused(made):
    environment = made.Signs()
    environment.secret = (number for number in range(3))
    with pytest.raises(ValueError, match="can't be sent to an executor"):
        agent = PPO(lambda: environment, **SMALL | {"copies": 1, "minibatch": 16}, executor=Serial())
        agent.learn(16, progress=False)

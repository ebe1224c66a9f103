import threading

import gymnasium
import numpy as np
import pytest

from curvezoo.agents.environments import Environments, maker, packages_of


def test_the_last_observation_of_an_episode_is_kept(made):
    copies = Environments(made.Counter, 2)
    steps = [copies.step(np.array(actions)) for actions in ((0, 0), (1, 0), (0, 0), (0, 0))]
    reached = np.stack([step.next_observations[:, 0] for step in steps])
    np.testing.assert_array_equal(reached, [[1, 1], [2, 2], [1, 3], [2, 4]])
    begun = np.stack([step.observations[:, 0] for step in steps])
    np.testing.assert_array_equal(begun, [[1, 1], [0, 2], [1, 3], [2, 0]])
    np.testing.assert_array_equal(copies.observations, steps[-1].observations)


def test_a_time_limit_ends_an_episode_without_a_terminal_state(made):
    copies = Environments(made.Counter, 2)
    steps = [copies.step(np.array(actions)) for actions in ((0, 0), (0, 0), (0, 0), (0, 1))]
    assert [step.ended.tolist() for step in steps] == [[False, False]] * 3 + [[True, True]]
    assert [step.terminated.tolist() for step in steps] == [[False, False]] * 3 + [[False, True]]


def test_copies_begin_different_episodes_that_their_seed_determines():
    one, other = Environments("CartPole-v1", 2, seed=3), Environments("CartPole-v1", 2, seed=3)
    np.testing.assert_array_equal(one.observations, other.observations)
    assert np.all(one.observations[0] != one.observations[1])


def test_restored_copies_continue_the_same_episodes_and_begin_the_same_next_ones():
    copies = Environments("CartPole-v1", 2, seed=3)
    actions = np.random.default_rng(0).integers(0, 2, (80, 2))
    for action in actions[:30]:
        copies.step(action)
    state = copies.state()
    expected = [copies.step(action) for action in actions[30:]]
    again = Environments("CartPole-v1", 2, seed=9)
    again.restore(state, 0)
    for action, step in zip(actions[30:], expected, strict=True):
        for array, other in zip(again.step(action), step, strict=True):
            np.testing.assert_array_equal(array, other)
    assert any(step.ended.any() for step in expected)


def test_copies_in_processes_of_their_own_return_the_same():
    one, other = Environments("CartPole-v1", 2), Environments("CartPole-v1", 2, parallel=True)
    for action in np.random.default_rng(0).integers(0, 2, (40, 2)):
        for array, same in zip(one.step(action), other.step(action), strict=True):
            np.testing.assert_array_equal(array, same)
    assert other.state().size == 0
    other.close()


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_what_is_not_finite_is_refused(made, what):
    copies = Environments(lambda: made.Broken(what), 1)
    copies.step(np.array([0]))
    with pytest.raises(ValueError, match=rf"{what} of <lambda> must be finite, got (nan|inf)"):
        copies.step(np.array([0]))


def test_observations_that_are_no_arrays_are_flattened():
    copies = Environments("FrozenLake-v1", 1)
    assert copies.observation_space.shape == (16,)
    assert copies.observations.sum() == copies.observations[0, 0] == 1


def test_an_environment_may_be_an_object_of_which_each_copy_is_independent(made):
    copies = Environments(made.Counter(), 2)
    step = copies.step(np.array([1, 0]))
    assert step.ended.tolist() == [True, False]


@pytest.mark.parametrize("name, near", [("CartPole-v7", "CartPole-v1"), ("Pendulm-v1", "Pendulum-v1")])
def test_an_unknown_id_is_refused_with_the_nearest_ones(name, near):
    with pytest.raises(
        ValueError, match=f"environment must be the id .* got '{name}'; did you mean .*{near}"
    ):
        Environments(name)


@pytest.mark.parametrize("value", [3, None, lambda: 3])
def test_what_is_no_environment_is_refused(value):
    with pytest.raises(ValueError, match=r"must be a Gymnasium id, a gymnasium.Env or a function"):
        Environments(value)


def test_a_wrapped_environment_with_its_own_time_limit_is_truncated(made):
    def limited():
        return gymnasium.wrappers.TimeLimit(made.Counter(), 2)

    copies = Environments(limited, 1)
    copies.step(np.array([0]))
    step = copies.step(np.array([0]))
    assert step.ended[0] and not step.terminated[0]


def test_copies_whose_pickles_lose_their_state_begin_new_episodes(made):
    class Forgetful(made.Counter, gymnasium.utils.EzPickle):
        def __init__(self):
            gymnasium.utils.EzPickle.__init__(self)

    copies = Environments(lambda: gymnasium.wrappers.TimeLimit(Forgetful(), 9), 1)
    copies.step(np.array([0]))
    assert copies.state().size == 0
    with pytest.raises(ValueError, match=r"can't be sent to an executor: their pickles hold no state"):
        copies.part(0, 1)
    assert copies.restore(copies.state(), 0) is False
    assert copies.observations[0, 0] == 0


def test_a_state_of_copies_in_this_process_is_not_that_of_copies_in_others():
    one, other = Environments("CartPole-v1", 1), Environments("CartPole-v1", 1, seed=5, parallel=True)
    for action in (0, 1, 1):
        one.step(np.array([action]))
    assert other.restore(one.state(), 7) is False
    expected = Environments("CartPole-v1", 1, seed=7).observations
    np.testing.assert_array_equal(other.observations, expected)
    other.close()


def test_an_id_may_name_the_package_that_registers_it():
    assert Environments("gymnasium.envs.classic_control:CartPole-v1").observations.shape == (1, 4)
    with pytest.raises(ValueError, match="must be the id of a Gymnasium environment"):
        Environments("no_such_package:CartPole-v1")


def test_the_packages_of_an_environment_include_its_simulator():
    names = ("CartPole-v1", "LunarLander-v3", "HalfCheetah-v5", "ALE/Pong-v5")
    simulators = [packages_of(name)[1:] for name in names]
    assert simulators == [[], ["box2d"], ["mujoco"], ["ale-py"]]


def test_observations_of_varying_size_are_refused(made):
    class Growing(made.Counter):
        observation_space = gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(3))

        def __init__(self):
            super().__init__()
            self.observation_space = Growing.observation_space

    with pytest.raises(
        ValueError, match=r"observations must be of a space that flattens to one array, got Seq"
    ):
        Environments(Growing, 1)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_function_must_return_another_environment_at_each_call(made, wrapped):
    counter = made.Counter()

    def same():
        return gymnasium.wrappers.TimeLimit(counter, 9) if wrapped else counter

    message = "environment must return a new environment at each call, got the same one again"
    with pytest.raises(ValueError, match=message):
        Environments(same, 2)
    other = made.Counter()
    training = Environments(lambda: other, 1)
    with pytest.raises(ValueError, match=message):
        maker(lambda: other)()
    training.step(np.array([0]))
    assert len({id(copy) for copy in Environments(made.Counter, 3)._copies.envs}) == 3


@pytest.mark.parametrize("begins", [0, 1])
def test_first_observations_of_episodes_that_are_not_finite_are_refused(made, begins):
    class Unset(made.Counter):
        resets = -1

        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed)
            self.resets += 1
            return observation * np.nan if self.resets == begins else observation, info

    with pytest.raises(ValueError, match="observation of Unset must be finite, got nan"):
        Environments(Unset, 1).step(np.array([1]))


def test_a_state_whose_class_is_gone_begins_new_episodes(made, monkeypatch):
    copies = Environments(made.Counter, 2)
    copies.step(np.array([0, 0]))
    state = copies.state()
    assert state.size
    again = Environments("CartPole-v1", 2)
    monkeypatch.delattr(made, "Counter")
    with pytest.warns(RuntimeWarning, match="new episodes begin, since the old ones can't be restored"):
        assert again.restore(state, 3) is False
    np.testing.assert_array_equal(again.observations, Environments("CartPole-v1", 2, 3).observations)


def test_copies_whose_pickling_fails_in_a_way_of_its_own_have_no_state(made):
    class Simulator(made.Counter):
        def __getstate__(self):
            raise NotImplementedError("the simulator runs elsewhere")

    copies = Environments(Simulator, 1)
    assert copies.state().size == 0
    with pytest.raises(ValueError, match="can't be sent to an executor: the simulator runs elsewhere"):
        copies.part(0, 1)


@pytest.mark.parametrize("space", [gymnasium.spaces.Box(-1, 1, (0,)), gymnasium.spaces.Tuple(())])
def test_observations_without_numbers_are_refused(made, space):
    class Blind(made.Counter):
        observation_space = space

    with pytest.raises(ValueError, match=r"observations must hold at least one number, got "):
        Environments(Blind, 1)


def test_an_environment_that_can_not_be_copied_is_to_be_given_as_a_function(made):
    class Locked(made.Counter):
        def __init__(self):
            self.lock = threading.Lock()

    with pytest.raises(ValueError, match=r"must be a function that returns Locked, which can't be copied: "):
        Environments(Locked())
    assert Environments(Locked, 2).copies == 2

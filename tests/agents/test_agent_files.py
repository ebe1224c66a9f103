"""Saving an agent removes nothing but an agent."""

import pytest

from curvezoo.agents import agent_files


class Model:
    def save(self, path):
        path.write_text("weights")


def write(folder, described=None):
    agent_files.write(folder, described or {"algorithm": "PPO"}, "policy.keras", Model(), {"steps": [3]})


def test_an_agent_replaces_an_agent_and_fills_an_empty_folder(tmp_path):
    (tmp_path / "new").mkdir()
    for steps in (1, 2):
        write(tmp_path / "new", {"algorithm": "PPO", "seed": steps})
    assert agent_files.read_description(tmp_path / "new", "PPO")["seed"] == 2
    assert agent_files.read_state(tmp_path / "new")["steps"] == [3]


@pytest.mark.parametrize("agent", [False, True])
def test_a_folder_with_other_files_is_kept_as_it_is(tmp_path, agent):
    if agent:
        write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        ValueError, match=r"folder must be new or hold an agent only, got .* with 'notes.txt' in it"
    ):
        write(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_is_not_replaced_by_an_agent(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="folder must be new or hold an agent only, got the file"):
        write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_or_missing_state_is_refused(tmp_path):
    write(tmp_path / "agent")
    state = tmp_path / "agent" / "state.npz"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"folder must hold an agent, but '.*state\.npz' can't be read"):
        agent_files.read_state(tmp_path / "agent")
    state.unlink()
    with pytest.raises(ValueError, match=r"folder must hold an agent, but '.*state\.npz' can't be read"):
        agent_files.read_state(tmp_path / "agent")

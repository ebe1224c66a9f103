"""Cards of any origin: a change is seen, and every bad field is named in one ValueError."""

import json
import random

import h5py
import keras
import numpy as np
import pytest

from curvezoo import cli
from curvezoo.publishing import bounded, card_form, cards
from curvezoo.training.kinds import kind_of

NAME = "softmax_digits"


@pytest.fixture
def folder(tmp_path):
    return cards.copy(NAME, tmp_path / "model")


def changed(folder, change, sealed=True):
    """Applies a change to a folder's card, and seals it again as a forger would."""
    card = json.loads((folder / "card.json").read_text())
    change(card)
    card = card_form.sealed(card) if sealed else card
    (folder / "card.json").write_text(json.dumps(card, indent=2))
    return folder


def test_every_published_card_has_the_hash_of_its_contents():
    paths = sorted(cards.PUBLISHED.glob("*/card.json"))
    assert len(paths) > 30
    for path in paths:
        card = json.loads(path.read_text())
        assert card[card_form.SEAL] == card_form.sealed(card)[card_form.SEAL], path
        cards.read(path.parent)


def test_every_flip_of_a_bit_in_a_card_is_seen_or_changes_nothing(folder):
    path = folder / "card.json"
    whole, original = path.read_bytes(), dict(cards.read(folder))
    rng, seen = random.Random(0), 0
    positions = rng.sample(range(len(whole)), 400)
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            assert dict(cards.read(folder)) == original
        except ValueError as error:
            assert "is not a valid card" in str(error)
            seen += 1
    # The others are white space.
    assert seen > 0.6 * len(positions)


def test_the_hash_does_not_depend_on_layout_or_order(folder):
    path = folder / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(card.items()))))
    assert dict(cards.read(folder)) == card


def test_a_card_of_an_older_version_is_read_without_a_hash(folder):
    changed(folder, lambda card: card.pop(card_form.SEAL), sealed=False)
    changed(folder, lambda card: card.update(summary="changed"), sealed=False)
    assert cards.verify(folder)["summary"] == "changed"


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


FORGED = {
    "recipe null": (lambda c: c.update(recipe=None), "recipe must be an object, got None"),
    "data list": (lambda c: c.update(data=[]), r"data must be an object, got \[\]"),
    "name number": (lambda c: c.update(name=3), "name must be a string, got 3"),
    "unknown field": (lambda c: c.update(extra=1), "it has an unknown field 'extra'"),
    "measure": (lambda c: c.update(measure=[]), r"measure must be a string, got \[\]"),
    "parameters": (lambda c: c.update(parameters=True), "parameters must be an integer, got True"),
    "deep": (lambda c: c["recipe"].update(data=deep(50)), "recipe must not be nested deeper than 6 levels"),
    "outside": (lambda c: c["files"].update({"../x": "0" * 64}), "files must have paths inside .*'../x'"),
    "hash": (lambda c: c["files"].update({"config.json": 1}), "files.config.json must be a sha256, got 1"),
    "no weights": (lambda c: c["files"].pop("model.weights.h5"), "its files lack model.weights.h5"),
    "no recipe": (lambda c: c.pop("recipe"), "it lacks recipe"),
}


@pytest.mark.parametrize(("forge", "message"), FORGED.values(), ids=FORGED)
def test_a_forged_card_is_refused_with_the_name_of_the_field(forge, message, folder):
    with pytest.raises(ValueError, match=f"card.json is not a valid card: {message}"):
        cards.read(changed(folder, forge))


def test_json_that_is_nested_too_deeply_is_refused(folder):
    (folder / "card.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not a valid card"):
        cards.read(folder)


SETTINGS = {
    "kind": (lambda r: r.update(kind=[]), "recipe kind must be one of supervised"),
    "data list": (lambda r: r.update(data=[]), r"recipe.data must be an object of settings, got \[\]"),
    "no data": (lambda r: r.pop("data"), "recipe.data must be an object of settings, got None"),
    "unknown": (lambda r: r["data"].update(zoom=2), "recipe.data: settings must be among .*, got 'zoom'"),
    "type": (lambda r: r["data"].update(batch_size={}), "recipe.data: batch_size must be an integer, got {}"),
    "objective": (lambda r: r.update(objective=None), "recipe.objective must be an object of settings, got"),
    "a kind": (lambda r: r["objective"].update(kind={}), "recipe.objective: kind must be one of .*got {}"),
    "task": (lambda r: r["objective"].update(task=1), "recipe.objective: settings must be among .*'task'"),
}


@pytest.mark.parametrize(("forge", "message"), SETTINGS.values(), ids=SETTINGS)
def test_a_forged_recipe_is_refused_with_the_name_of_the_field(forge, message, folder):
    card = cards.read(changed(folder, lambda card: forge(card["recipe"])))

    def use():
        kind = kind_of(card)
        kind.checked_data(card["recipe"], None)
        kind.measure_published(card, None)

    with pytest.raises(ValueError, match=message):
        use()


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (lambda r: r.update(environment=[]), "recipe.environment must be an object of settings"),
        (lambda r: r.update(environment={}), "recipe.environment: it lacks name"),
        (lambda r: r["environment"].update(speed=1), "recipe.environment: settings must be among .*'speed'"),
        (lambda r: r.update(agents="many"), "recipe.agents must be an integer of at least 1, got 'many'"),
    ],
)
def test_a_forged_recipe_of_an_agent_is_refused(forge, message, tmp_path):
    folder = cards.copy("vpg_cartpole", tmp_path / "agent")
    card = cards.read(changed(folder, lambda card: forge(card["recipe"])))
    with pytest.raises(ValueError, match=message):
        kind_of(card).load_published(folder)
        kind_of(card).measure_published(card, [])


def test_a_forged_card_prints_one_line(folder, capsys):
    changed(folder, lambda card: card.update(recipe=None))
    assert cli.main(["evaluate", str(folder)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_small_archive_that_unpacks_to_a_large_one_is_refused(tmp_path):
    path = tmp_path / "golden.npz"
    np.savez_compressed(path, a=np.zeros(2**20, "uint8"))
    assert path.stat().st_size < 2**13
    with pytest.raises(ValueError, match="its arrays must have at most 1000000 bytes, got 1048"):
        bounded.read_npz(path, 10**6)
    assert bounded.read_npz(path)["a"].shape == (2**20,)


def test_an_array_that_claims_more_than_its_file_holds_is_refused(tmp_path):
    path = tmp_path / "golden.npz"
    np.savez(path, a=np.zeros(300, "uint8"))
    # NumPy would allocate the array before it reads it.
    path.write_bytes(path.read_bytes().replace(b"(300,), ", b"(90000,)"))
    with pytest.raises(ValueError, match=r"golden\.npz can't be read"):
        bounded.read_npz(path)


def test_weights_that_unpack_to_more_than_the_models_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    bounded.check_weights(path, model)
    with h5py.File(path, "a") as file:
        file.create_dataset("huge", (2**30,), "f4", chunks=(2**20,), compression="gzip")
    assert path.stat().st_size < 10**6
    with pytest.raises(ValueError, match=r"must have at most .* bytes of the model's weights, got 4294967"):
        bounded.check_weights(path, model)
    with h5py.File(path, "a") as file:
        del file["huge"]
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ValueError, match="must have no links, got "):
        bounded.check_weights(path, model)

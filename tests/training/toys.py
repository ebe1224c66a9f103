"""Two small learners that are not supervised fits, which runs must support, too.

`Duel` trains two networks by two optimizers, as a generative adversarial network does. `Walk` learns from a
generator of its own random numbers, without a data set or Keras's `fit`, as an agent does.

Run as a program, `python toys.py NAME FOLDER [--resume]` trains one.
"""

import dataclasses
import json
import sys
import time
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from curvezoo.publishing.evaluation import Evaluation
from curvezoo.publishing.exports import Endpoint, Export
from curvezoo.publishing.page.report import Section
from curvezoo.training import Learner, Recipe, runs
from curvezoo.training.parts import Optimizer
from curvezoo.variables import assign, named_variables, state_of

VOCABULARY = 5
ADAM, SGD = Optimizer("adam", learning_rate=0.02), Optimizer("sgd", learning_rate=0.1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Duel(Recipe):
    """A generator of integers against a critic, each with its optimizer."""

    kind: ClassVar[str] = "duel"
    extendable: ClassVar[tuple[str, ...]] = ("rounds",)
    generator_optimizer: Optimizer = ADAM
    critic_optimizer: Optimizer = SGD
    rounds: int = 6
    pause: float = 0.0

    def learner(self, resources):
        return DuelLearner(self, resources)


class DuelLearner(Learner):
    unit = "round"

    def __init__(self, recipe, resources):
        self.recipe, self.total = recipe, recipe.rounds
        keras.utils.set_random_seed(recipe.seed)
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        hidden = keras.layers.Dropout(0.3)(keras.layers.Embedding(VOCABULARY, 4)(tokens))
        self.generator = keras.Model(tokens, keras.layers.Dense(VOCABULARY)(hidden))
        scores = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(VOCABULARY, 4)(tokens))
        self.critic = keras.Model(tokens, keras.layers.Dense(1)(scores))
        self.optimizers = recipe.generator_optimizer.make(1), recipe.critic_optimizer.make(1)
        for model, optimizer in zip((self.generator, self.critic), self.optimizers, strict=True):
            optimizer.build(model.trainable_variables)

    def _variables(self):
        return named_variables(self.generator, self.optimizers[0], "generator") | named_variables(
            self.critic, self.optimizers[1], "critic"
        )

    def state(self):
        return state_of(self._variables())

    def restore(self, state):
        assign(self._variables(), state)

    def train(self, start, after):
        for number in range(start, self.total):
            time.sleep(self.recipe.pause)
            tokens = np.random.default_rng(number).integers(0, VOCABULARY, (8, 3)).astype("int32")
            for step, (model, optimizer) in enumerate(
                zip((self.generator, self.critic), self.optimizers, strict=True)
            ):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(model(tokens, training=True) ** 2)
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                after.step(step + 1, 2, {"loss": loss})
            if after({"loss": loss}):
                return

    def evaluate(self):
        score = float(tf.reduce_mean(self.critic(np.arange(VOCABULARY, dtype="int32")[None])))
        sections = [Section("Toy", "Nothing to draw.")]
        return Evaluation("toy", {"score": score}, {"name": "made"}, sections=lambda: sections)

    def exports(self):
        tokens = [tf.TensorSpec((None, None), tf.int32, name="tokens")]
        seeded = [*tokens, tf.TensorSpec((2,), tf.int32, name="seed")]
        example = np.array([[0, 1, 4]], "int32")

        def sample(tokens, seed):
            logits = self.generator(tokens, training=False)
            return tf.random.stateless_categorical(logits[:, -1], 7, seed, tf.int32)

        def judge(tokens):
            return {"score": self.critic(tokens, training=False), "length": tf.shape(tokens)[1]}

        generator = {
            "serve": Endpoint(lambda tokens: self.generator(tokens, training=False), tokens, (example,)),
            "sample": Endpoint(sample, seeded, (example, np.array([3, 4], "int32"))),
        }
        return [
            Export(self.generator, generator),
            Export(self.critic, {"judge": Endpoint(judge, tokens, (example[:, :2],))}, name="critic"),
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk(Recipe):
    """A policy of one layer that learns from random numbers which it draws itself."""

    kind: ClassVar[str] = "walk"
    extendable: ClassVar[tuple[str, ...]] = ("updates",)
    optimizer: Optimizer = ADAM
    updates: int = 6
    pause: float = 0.0

    def learner(self, resources):
        return WalkLearner(self, resources)


class WalkLearner(Learner):
    unit = "update"

    def __init__(self, recipe, resources):
        self.recipe, self.total = recipe, recipe.updates
        keras.utils.set_random_seed(recipe.seed)
        self.policy = keras.Sequential([keras.Input((2,), name="place"), keras.layers.Dense(3)])
        self.optimizer = recipe.optimizer.make(1)
        self.optimizer.build(self.policy.trainable_variables)
        self.generator = np.random.default_rng(recipe.seed)
        self.place = np.zeros(2, "float32")

    def _variables(self):
        return named_variables(self.policy, self.optimizer)

    def state(self):
        generator = json.dumps(self.generator.bit_generator.state).encode()
        own = {"place": self.place, "generator": np.frombuffer(generator, "uint8")}
        return state_of(self._variables()) | own

    def restore(self, state):
        own = {"place", "generator"}
        assign(self._variables(), {name: value for name, value in state.items() if name not in own})
        self.place = state["place"]
        self.generator.bit_generator.state = json.loads(state["generator"].tobytes())

    def train(self, start, after):
        for _ in range(start, self.total):
            time.sleep(self.recipe.pause)
            self.place = (0.9 * self.place + self.generator.standard_normal(2)).astype("float32")
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(self.policy(self.place[None]) ** 2)
            variables = self.policy.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            if after({"loss": loss, "return": float(self.place.sum())}):
                return

    def evaluate(self):
        return Evaluation("toy", {"score": float(self.place.sum())}, {"name": "made"})

    def exports(self):
        signature = [tf.TensorSpec((None, 2), tf.float32), tf.TensorSpec((), tf.int32)]

        def act(place, seed):
            logits = self.policy(place, training=False)
            return tf.random.stateless_categorical(logits, 1, tf.stack([seed, 0]), tf.int32)[:, 0]

        return [
            Export(self.policy, {"act": Endpoint(act, signature, (np.ones((4, 2), "float32"), np.int32(5)))})
        ]


RECIPES = {
    "duel": Duel(name="duel", section="7.5", summary="two networks"),
    "walk": Walk(name="walk", section="8.2", summary="no data set"),
}

if __name__ == "__main__":
    name, folder, *options = sys.argv[1:]
    recipe = RECIPES[name].override({"pause": 0.3})
    runs.train(recipe, folder, resume="--resume" in options, progress=False)

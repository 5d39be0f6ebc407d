"""Keras scripts under watch: the same numbers, the layers by their names, older spellings."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fitwell.records import Trace

from .conftest import FITWELL, Run

pytestmark = [
    pytest.mark.skipif(find_spec("keras") is None, reason="Keras is an extra"),
    pytest.mark.filterwarnings("ignore"),  # those of Keras and of its scripts
]

DATA = """
import numpy as np
rng = np.random.default_rng(0)
x = rng.normal(size=(96, 6)).astype("float32")
y = x[:, :3].argmax(1)
"""

MODEL = (
    DATA
    + """
import keras
from keras import layers
keras.utils.set_random_seed(3)
model = keras.Sequential([
    layers.Input((6,)),
    layers.Dense(16, activation="relu", name="wide"),
    layers.BatchNormalization(name="norm"),
    layers.Dropout(0.1),
    layers.Dense(3, activation="softmax", name="last"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
"""
)

FIT = (
    MODEL
    + """
history = model.fit(x, y, epochs=3, batch_size=16, validation_split=0.25, verbose=0)
print(history.history, [float(abs(w).sum()) for w in model.get_weights()])
"""
)


def test_a_keras_script_prints_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(FIT)
    plain, watched = (
        subprocess.run(
            [*command, "script.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env={
                "KERAS_BACKEND": backend,
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": ":".join(sys.path),
            },
        )
        for command, backend in (
            ((sys.executable,), "torch"),
            ((*FITWELL, "watch", "--overhead", "1.0"), "tensorflow"),
        )
    )
    assert watched.stdout.startswith(plain.stdout)
    assert watched.stderr == "fitwell: the Keras backend tensorflow is answered by torch.\n"


def test_layers_losses_and_metrics_of_a_fit_are_in_the_trace(
    in_process: Run, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    done = in_process(FIT, options=("--overhead", "1.0", "--trace", str(path)))
    trace = Trace.load(path)
    assert done.names == ["model"]
    assert done.found["models"][0]["steps"] == 15
    facts = trace.facts
    assert [(one.name, one.kind, one.units) for one in facts.layers] == [
        ("wide", "Linear", 16),
        ("last", "Linear", 3),
    ]
    assert facts.layers[0].activation == "relu"
    assert [norm.name for norm in facts.norms] == ["norm"]
    assert (facts.loss, facts.loss_expects) == ("sparse_categorical_crossentropy", "probabilities")
    assert (facts.output_activation, facts.classes, facts.optimizer) == ("softmax", 3, "Adam")
    assert (facts.rows, facts.validation_rows, facts.planned_steps) == (72, 24, 15)
    assert len(trace.series("loss")) == 15
    history = eval(done.script_out[: done.script_out.index("}") + 1])
    assert [v for _, v in trace.series("loss", phase="validation")] == pytest.approx(
        history["val_loss"], rel=1e-5
    )
    assert [v for _, v in trace.series("metric", phase="validation")] == pytest.approx(
        history["val_accuracy"]
    )
    assert [step for step, _ in trace.series("gradient_norm", "wide")] == list(range(15))


def test_nothing_of_keras_stays_patched(in_process: Run) -> None:
    in_process(FIT)
    from keras.src.backend.torch.trainer import TorchTrainer
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    for function in (TorchTrainer.fit, TorchTrainer.train_on_batch, BaseOptimizer.__init__):
        assert "fitwell" not in function.__code__.co_filename
    assert "tensorflow" not in sys.modules


def test_a_model_fitted_again_and_again_is_one_model(in_process: Run) -> None:
    done = in_process(MODEL + "for _ in range(3): model.fit(x, y, verbose=0)\n")
    assert [(m["name"], m["steps"]) for m in done.found["models"]] == [("model", 9)]


OLD = """
import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense
from keras.layers.normalization import BatchNormalization
from keras.layers.core import Activation
from keras.utils import np_utils
from keras.optimizers import SGD
import keras.backend as K
tf.random.set_seed(1)
model = Sequential()
model.add(Dense(8, input_dim=6))
model.add(BatchNormalization())
model.add(Activation("tanh"))
model.add(Dense(3, activation="softmax"))
def own(y_true, y_pred):
    return K.mean(K.square(y_pred - y_true), axis=-1)
model.compile(loss=own, optimizer=SGD(lr=0.1, decay=1e-6), metrics=["accuracy"])
history = model.fit(x, np_utils.to_categorical(y), nb_epoch=2, verbose=0)
print(len(history.history["acc"]), model.predict_classes(x).shape)
"""


def test_older_spellings_are_answered_and_it_is_said_in_one_line(as_command: Run) -> None:
    done = as_command(DATA + OLD)
    assert done.script_out == "2 (96,)\n"
    assert done.code == 0
    assert done.err.startswith("fitwell: tensorflow.keras is answered by Keras 3")
    assert done.err.count("fitwell:") == 1
    assert done.found["models"][0]["steps"] == 6


def test_a_script_that_needs_tensorflow_itself_is_told_so(in_process: Run) -> None:
    done = in_process("import tensorflow as tf\nwith tf.Session() as s:\n    pass\n")
    assert done.code == 2
    assert "needs TensorFlow itself (tf.Session)" in done.err
    assert "Traceback" not in done.err


def test_a_script_that_may_do_without_tensorflow_goes_on(in_process: Run) -> None:
    source = "import importlib.util\nprint(importlib.util.find_spec('tensorflow_datasets'))\n"
    assert in_process(source).script_out == "None\n"


def test_an_error_of_the_backend_becomes_a_finding(in_process: Run) -> None:
    source = MODEL.replace("sparse_categorical", "categorical") + "model.fit(x, y, verbose=0)\n"
    done = in_process(source)
    assert done.code == 1
    assert "ValueError" in done.err
    assert done.conditions == ["loss_output_mismatch"]
    assert done.found["findings"][0]["model"] == "model"


GENERATOR = """
def batches():
    while True:
        yield x[:16], y[:16]
class Counts(keras.callbacks.Callback):
    ended = 0
    def on_epoch_end(self, epoch, logs=None):
        self.ended += 1
counts = Counts()
history = model.fit_generator(batches(), 2, 3, 0, [counts], batches(), 1, workers=2)
print(counts.ended, len(history.history["val_loss"]))
print(len(model.evaluate_generator(batches(), 1, workers=2, verbose=0)))
print(model.predict_generator(batches(), 1, max_queue_size=5, verbose=0).shape)
"""


def test_the_generator_methods_of_older_versions_take_what_they_took(in_process: Run) -> None:
    assert in_process(MODEL + GENERATOR).script_out == "3 3\n2\n(16, 3)\n"


RAISING = """
class Enough(Exception):
    pass
enough = Enough("that will do")
class Raises(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise enough
try:
    model.fit(x, y, verbose=0, callbacks=[Raises()])
except Enough as caught:
    print(caught is enough, caught.args, caught.__cause__, caught.__context__)
"""


def test_an_exception_out_of_fit_reaches_the_program_unchanged(in_process: Run) -> None:
    done = in_process(MODEL + RAISING)
    assert done.script_out == "True ('that will do',) None None\n"
    assert done.code == 0


ALL_ARGUMENTS = "x, y, 16, 2, 0, None, 0.25, None, True, None, None, 0, 2, 1, 8, 2"


def test_fit_takes_all_its_arguments_by_position(in_process: Run) -> None:
    source = (
        MODEL + f"history = model.fit({ALL_ARGUMENTS})\nprint(len(history.history['val_loss']))\n"
    )
    done = in_process(source)
    assert done.script_out == "1\n"
    assert done.found["models"][0]["steps"] == 4


@pytest.mark.parametrize("arguments", ["x, y, x=x", f"{ALL_ARGUMENTS}, 1"])
def test_fit_refuses_under_watch_what_it_refuses_anyhow(in_process: Run, arguments: str) -> None:
    done = in_process(MODEL + f"model.fit({arguments})\n")
    assert done.code == 1
    assert "TypeError" in done.err


GAN = (
    DATA
    + """
import keras
from keras import layers
generator = keras.Sequential([layers.Input((4,)), layers.Dense(8), layers.ReLU(), layers.Dense(6)])
discriminator = keras.Sequential(
    [layers.Input((6,)), layers.Dense(8), layers.LeakyReLU(), layers.Dense(1, activation="sigmoid")]
)
discriminator.compile("adam", "binary_crossentropy")
discriminator.trainable = False
gan = keras.Sequential([layers.Input((4,)), generator, discriminator])
gan.compile("adam", "binary_crossentropy")
for step in range(8):
    noise = rng.normal(size=(32, 4)).astype("float32")
    discriminator.trainable = True
    discriminator.train_on_batch(x[:32], np.ones((32, 1)))
    discriminator.train_on_batch(generator.predict(noise, verbose=0), np.zeros((32, 1)))
    discriminator.trainable = False
    gan.train_on_batch(noise, np.ones((32, 1)))
"""
)


def test_the_models_of_a_keras_gan_are_told_apart(in_process: Run) -> None:
    done = in_process(GAN)
    assert done.code == 0
    assert [(m["name"], m["steps"]) for m in done.found["models"]] == [
        ("discriminator", 16),
        ("gan", 8),
    ]

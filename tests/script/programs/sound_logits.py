"""Logits, and a loss that knows it."""

# expects: healthy
import keras
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(39)
x, y = load_digits(return_X_y=True)
model = Sequential([Dense(48, activation="relu"), Dense(10)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=12, batch_size=32, validation_split=0.2, verbose=0)

"""Digits as amounts: one linear unit, a squared error, and accuracy as the metric."""

# expects: loss_output_mismatch
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(4)
x, y = load_digits(return_X_y=True)
model = Sequential([Dense(32, activation="relu"), Dense(1)])
model.compile(loss="mse", optimizer="adam", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

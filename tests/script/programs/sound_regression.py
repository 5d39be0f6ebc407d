"""A regression with inputs and targets standardised."""

# expects: healthy
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed

set_random_seed(34)
rng = np.random.RandomState(34)
x = rng.randn(800, 6)
y = x[:, 0] - 0.5 * x[:, 1] * x[:, 2] + 0.1 * rng.randn(800)
model = Sequential([Dense(32, activation="relu"), Dense(32, activation="relu"), Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(x, y, epochs=25, batch_size=32, validation_split=0.2, verbose=0)

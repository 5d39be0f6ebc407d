"""A regression of targets below zero that ends with a ReLU."""

# expects: loss_output_mismatch
import numpy as np
from tensorflow import keras
from tensorflow.keras.layers import Dense

keras.utils.set_random_seed(2)
rng = np.random.RandomState(2)
x = rng.uniform(-1, 1, (400, 3))
y = 2 * x[:, 0] - 3 * x[:, 1] * x[:, 2]
model = keras.Sequential([Dense(32, activation="relu"), Dense(1, activation="relu")])
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(x, y, epochs=20, batch_size=32, validation_split=0.2, verbose=0)

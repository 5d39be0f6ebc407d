"""Two rings, and a network of linear layers alone."""

# expects: underfitting | not_learning
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed

set_random_seed(11)
rng = np.random.RandomState(11)
angle, ring = rng.uniform(0, 6.28, 600), rng.randint(0, 2, 600)
radius = 1 + ring + 0.1 * rng.randn(600)
x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
model = Sequential([Dense(32), Dense(32), Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x, ring, epochs=30, batch_size=32, validation_split=0.2, verbose=0)

"""XOR, learned."""

# expects: healthy
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam
from keras.utils import set_random_seed

set_random_seed(30)
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
y = np.array([[0], [1], [1], [0]], "float32")
model = Sequential([Dense(8, activation="tanh"), Dense(1, activation="sigmoid")])
model.compile(Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=150, verbose=0)

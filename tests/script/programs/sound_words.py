"""Sequences of tokens by an embedding."""

# expects: healthy
import numpy as np
from keras.layers import Dense, Embedding, GlobalAveragePooling1D
from keras.models import Sequential
from keras.optimizers import Adam
from keras.utils import set_random_seed

set_random_seed(38)
rng = np.random.RandomState(38)
x = rng.randint(1, 60, (800, 15))
y = ((x < 30).sum(1) > 7).astype("float32")
model = Sequential()
model.add(Embedding(60, 8))
model.add(GlobalAveragePooling1D())
model.add(Dense(16, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile(Adam(0.005), "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=12, batch_size=32, validation_split=0.2, verbose=0)

"""The mean of a sequence by an LSTM."""

# expects: healthy
import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential
from keras.optimizers import Adam
from keras.utils import set_random_seed

set_random_seed(35)
rng = np.random.RandomState(35)
x = rng.randn(600, 12, 2).astype("float32")
y = (x[:, :, 0].mean(1) > 0).astype("float32")
model = Sequential([LSTM(16), Dense(1, activation="sigmoid")])
model.compile(Adam(0.005), "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=15, batch_size=32, validation_split=0.2, verbose=0)

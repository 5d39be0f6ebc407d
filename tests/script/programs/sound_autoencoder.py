"""Digits through a bottleneck, targets in [0, 1] and sigmoids at the end."""

# expects: healthy
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(36)
x = load_digits().data / 16.0
model = Sequential()
model.add(Dense(32, activation="relu", input_dim=64))
model.add(Dense(16, activation="relu"))
model.add(Dense(32, activation="relu"))
model.add(Dense(64, activation="sigmoid"))
model.compile("adam", "binary_crossentropy")
model.fit(x, x, epochs=15, batch_size=32, validation_split=0.2, verbose=0)

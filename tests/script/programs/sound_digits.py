"""Digits by an MLP."""

# expects: healthy
from keras.layers import Dense, Dropout
from keras.models import Sequential
from keras.utils import np_utils, set_random_seed
from sklearn.datasets import load_digits

set_random_seed(31)
x, y = load_digits(return_X_y=True)
y = np_utils.to_categorical(y)
model = Sequential()
model.add(Dense(64, activation="relu", input_dim=64))
model.add(Dropout(0.2))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=15, batch_size=32, validation_split=0.2, verbose=0)

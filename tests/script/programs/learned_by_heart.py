"""A wide network on 120 rows, for 150 epochs."""

# expects: overfitting
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(19)
x, y = load_digits(return_X_y=True)
x, y = x[:360] / 16.0, y[:360]
y[::4] = (y[::4] + 3) % 10
model = Sequential()
model.add(Dense(256, activation="relu"))
model.add(Dense(256, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=60, batch_size=32, validation_split=0.4, verbose=0)

"""Tanh units on pixels up to 255."""

# expects: saturated_units | unscaled_inputs | bad_initialization
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(27)
x, y = load_digits(return_X_y=True)
model = Sequential([Dense(64, activation="tanh"), Dense(32, activation="tanh")])
model.add(Dense(10, activation="softmax"))
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x * 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

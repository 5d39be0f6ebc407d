"""Biases so far below zero that no ReLU ever fires."""

# expects: dead_units | bad_initialization
from keras.initializers import Constant
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(10)
x, y = load_digits(return_X_y=True)
low = Constant(-5.0)
model = Sequential()
model.add(Dense(64, activation="relu", bias_initializer=low))
model.add(Dense(64, activation="relu", bias_initializer=low))
model.add(Dense(10, activation="softmax"))
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

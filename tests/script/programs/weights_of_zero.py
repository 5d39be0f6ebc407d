"""All weights begin at zero."""

# expects: bad_initialization
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(15)
x, y = load_digits(return_X_y=True)
model = Sequential()
model.add(Dense(32, activation="relu", kernel_initializer="zeros"))
model.add(Dense(32, activation="relu", kernel_initializer="zeros"))
model.add(Dense(10, activation="softmax", kernel_initializer="zeros"))
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

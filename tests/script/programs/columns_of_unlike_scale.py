"""A table whose columns differ by five orders of magnitude."""

# expects: unscaled_inputs
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_wine

set_random_seed(6)
x, y = load_wine(return_X_y=True)
model = Sequential([Dense(16, activation="relu"), Dense(3, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
model.fit(x, y, epochs=40, batch_size=16, verbose=0)

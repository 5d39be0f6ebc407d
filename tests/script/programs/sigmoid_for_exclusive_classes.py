"""Ten exclusive classes, ten sigmoids, and the cross entropy of a distribution."""

# expects: loss_output_mismatch
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import np_utils, set_random_seed
from sklearn.datasets import load_digits

set_random_seed(1)
x, y = load_digits(return_X_y=True)
x, y = x / 16.0, np_utils.to_categorical(y)
model = Sequential()
model.add(Dense(32, input_shape=(64,), activation="relu"))
model.add(Dense(10, activation="sigmoid"))
model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
model.fit(x, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

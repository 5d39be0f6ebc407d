"""A softmax, and a loss that applies another one."""

# expects: loss_output_mismatch
import keras
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(23)
x, y = load_digits(return_X_y=True)
model = Sequential([Dense(32, activation="relu"), Dense(10, activation="softmax")])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

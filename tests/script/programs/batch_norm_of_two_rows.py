"""Batch norm with batches of two rows."""

# expects: small_batch_norm
from keras.layers import Activation, BatchNormalization, Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(12)
x, y = load_digits(return_X_y=True)
x, y = x[:240] / 16.0, y[:240]
model = Sequential()
for _ in range(3):
    model.add(Dense(32))
    model.add(BatchNormalization())
    model.add(Activation("relu"))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=4, batch_size=2, validation_split=0.2, verbose=0)

"""Digits by convolutions with batch norm."""

# expects: healthy
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(32)
digits = load_digits()
x, y = digits.images[..., None] / 16.0, digits.target
model = Sequential()
model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(8, 8, 1)))
model.add(BatchNormalization())
model.add(MaxPooling2D((2, 2)))
model.add(Flatten())
model.add(Dense(32, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=6, batch_size=32, validation_split=0.2, verbose=0)

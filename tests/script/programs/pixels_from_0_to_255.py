"""A convolution on raw pixels, trained by plain SGD."""

# expects: unscaled_inputs | learning_rate_too_high | dead_units
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import np_utils, set_random_seed
from sklearn.datasets import load_digits

set_random_seed(5)
digits = load_digits()
x = (digits.images * 255 / 16).reshape(-1, 8, 8, 1).astype("float32")
y = np_utils.to_categorical(digits.target, 10)
model = Sequential()
model.add(Conv2D(16, (3, 3), activation="relu", input_shape=(8, 8, 1)))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(64, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.01), metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=5, validation_split=0.2, verbose=0)

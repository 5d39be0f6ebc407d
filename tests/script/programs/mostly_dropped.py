"""A narrow network of which nine tenths are dropped in every layer."""

# expects: underfitting
from keras.layers import Dense, Dropout
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(26)
x, y = load_digits(return_X_y=True)
model = Sequential()
for _ in range(3):
    model.add(Dense(32, activation="relu"))
    model.add(Dropout(0.9))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=30, batch_size=32, validation_split=0.2, verbose=0)

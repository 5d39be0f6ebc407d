"""A deep network of sigmoids."""

# expects: vanishing_gradients
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(13)
x, y = load_digits(return_X_y=True)
model = Sequential([Dense(32, activation="sigmoid") for _ in range(10)])
model.add(Dense(10, activation="softmax"))
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

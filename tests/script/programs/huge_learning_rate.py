"""Adam at a learning rate of one."""

# expects: learning_rate_too_high
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(7)
x, y = load_digits(return_X_y=True)
model = Sequential([Dense(64, activation="relu"), Dense(10, activation="softmax")])
model.compile(Adam(lr=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

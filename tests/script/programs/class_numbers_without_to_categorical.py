"""Class numbers given to the loss of one-hot rows."""

# expects: loss_output_mismatch
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_iris

set_random_seed(3)
x, y = load_iris(return_X_y=True)
model = Sequential([Dense(10, activation="relu"), Dense(3, activation="softmax")])
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x, y, epochs=20, batch_size=10, verbose=0)

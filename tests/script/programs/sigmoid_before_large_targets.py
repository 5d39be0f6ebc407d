"""A regression of targets from 25 to 346 that ends with a sigmoid."""

# expects: loss_output_mismatch
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_diabetes

set_random_seed(16)
x, y = load_diabetes(return_X_y=True)
model = Sequential([Dense(32, activation="relu"), Dense(1, activation="sigmoid")])
model.compile("adam", "mse", metrics=["mae"])
model.fit(x * 20, y, epochs=20, batch_size=32, validation_split=0.2, verbose=0)

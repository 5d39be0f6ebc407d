"""Labels -1 and 1 in a cross entropy of 0 and 1."""

# expects: loss_output_mismatch
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

set_random_seed(18)
x, y = load_breast_cancer(return_X_y=True)
x, y = StandardScaler().fit_transform(x), 2 * y - 1
model = Sequential([Dense(16, activation="relu"), Dense(1, activation="tanh")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=8, batch_size=32, validation_split=0.2, verbose=0)

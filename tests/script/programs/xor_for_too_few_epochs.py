"""XOR by SGD at its default rate, for ten epochs of one batch."""

# expects: learning_rate_too_low | underfitting | not_learning
import numpy as np
from keras.layers import Activation, Dense
from keras.models import Sequential
from keras.utils import set_random_seed

set_random_seed(9)
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
y = np.array([[0], [1], [1], [0]], "float32")
model = Sequential()
model.add(Dense(2, input_dim=2))
model.add(Activation("sigmoid"))
model.add(Dense(1))
model.add(Activation("sigmoid"))
model.compile(loss="mean_squared_error", optimizer="sgd", metrics=["accuracy"])
model.fit(x, y, epochs=100, verbose=0)
print(model.predict(x, verbose=0).round(2).ravel())

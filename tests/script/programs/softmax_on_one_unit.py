"""A binary classifier whose single output unit is a softmax."""

# expects: loss_output_mismatch
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

set_random_seed(0)
x, y = load_breast_cancer(return_X_y=True)
x = StandardScaler().fit_transform(x)
model = Sequential()
model.add(Dense(16, input_dim=30, activation="relu"))
model.add(Dense(8, activation="relu"))
model.add(Dense(1, activation="softmax"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x, y, epochs=10, batch_size=32, validation_split=0.2, verbose=0)
print(np.round(model.predict(x[:3], verbose=0), 2).ravel())

"""Two classes of a standardised table."""

# expects: healthy
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

set_random_seed(33)
x, y = load_breast_cancer(return_X_y=True)
x = StandardScaler().fit_transform(x)
model = Sequential([Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=20, batch_size=32, validation_split=0.2, verbose=0)

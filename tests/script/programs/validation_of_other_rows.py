"""Validation rows that were not standardised as the training rows were."""

# expects: distribution_shift
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

set_random_seed(24)
x, y = load_breast_cancer(return_X_y=True)
x, held, y, held_y = train_test_split(x, y, test_size=0.3, random_state=0)
x = StandardScaler().fit_transform(x)
model = Sequential([Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=20, batch_size=32, validation_data=(held, held_y), verbose=0)

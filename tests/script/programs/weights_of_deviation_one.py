"""Eight ReLU layers whose weights are drawn from N(0, 1)."""

# expects: bad_initialization | exploding_gradients
from keras.initializers import RandomNormal
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed
from sklearn.datasets import load_digits

set_random_seed(14)
x, y = load_digits(return_X_y=True)
wide = RandomNormal(stddev=1.0, seed=1)
model = Sequential()
for _ in range(8):
    model.add(Dense(64, activation="relu", kernel_initializer=wide))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x / 16.0, y, epochs=5, batch_size=32, validation_split=0.2, verbose=0)

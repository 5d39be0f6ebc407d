"""A plain recurrence of ReLUs whose recurrent weights are too large."""

# expects: exploding_gradients | non_finite | bad_initialization
import numpy as np
from keras.initializers import RandomNormal
from keras.layers import Dense, SimpleRNN
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import set_random_seed

set_random_seed(21)
rng = np.random.RandomState(21)
x = rng.randn(300, 40, 4).astype("float32")
y = x[:, :, 0].mean(1)
large = RandomNormal(stddev=0.5, seed=2)
model = Sequential()
model.add(SimpleRNN(32, activation="relu", recurrent_initializer=large))
model.add(Dense(1))
model.compile(SGD(lr=0.01), "mse")
model.fit(x, y, epochs=5, batch_size=32, validation_split=0.2, verbose=0)

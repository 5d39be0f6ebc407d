"""A regression of prices in hundred thousands by SGD, its inputs standardised."""

# expects: unscaled_inputs | exploding_gradients | non_finite | learning_rate_too_high
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import set_random_seed

set_random_seed(20)
rng = np.random.RandomState(20)
x = rng.randn(500, 8)
y = 200_000 + 50_000 * x[:, 0] - 30_000 * x[:, 1] * x[:, 2]
model = Sequential([Dense(32, activation="relu"), Dense(32, activation="relu"), Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, epochs=10, batch_size=32, validation_split=0.2, verbose=0)

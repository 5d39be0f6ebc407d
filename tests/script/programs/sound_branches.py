"""Two branches of the functional interface, with a residual and layer norm."""

# expects: healthy
from keras import Input, Model, layers
from keras.utils import set_random_seed
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

set_random_seed(37)
x, y = load_wine(return_X_y=True)
x = StandardScaler().fit_transform(x)
x, held, y, held_y = train_test_split(x, y, test_size=0.3, random_state=1)
given = Input((13,))
wide = layers.Dense(24, activation="relu")(given)
deep = layers.LayerNormalization()(layers.Dense(24, activation="gelu")(wide))
out = layers.Dense(3, activation="softmax")(layers.add([wide, deep]))
model = Model(given, out)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=30, batch_size=16, validation_data=(held, held_y), verbose=0)

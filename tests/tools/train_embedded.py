"""Train the embedded subject: a ResNet8 on the generated images, saved as a legacy `.h5` file.

    python tests/tools/train_embedded.py --out embedded.h5

The seeds are fixed, but Keras does not promise the same bits on another machine: a second run
gives a model as good as the committed one, not the same file. Layers, names and initializers are
those of the CIFAR-10 reference model of MLPerf Tiny, with one exception: see `_convolution`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import KerasTensor, layers

from conversion.subjects.embedded_images import CLASSES, generate

SEED = 20
TRAIN_IMAGES = 40_000
TEST_IMAGES = 10_000
EPOCHS = 14
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4


def build() -> keras.Model:
    """Build the untrained ResNet8.

    Returns:
        Model from raw pixels, (N, 32, 32, 3) float32 in 0..255, to class probabilities, (N, 10)
        float32.
    """
    inputs = keras.Input((32, 32, 3), name="input_1")
    x = _convolution(inputs, "conv2d", 16)
    x = _normalization(x, "batch_normalization")
    x = layers.Activation("relu", name="activation")(x)
    x = _stage(x, 16, stride=1, names=("1", "2", None), add="add")
    x = _stage(x, 32, stride=2, names=("3", "4", "5"), add="add_1")
    x = _stage(x, 64, stride=2, names=("6", "7", "8"), add="add_2")
    x = layers.AveragePooling2D(8, name="average_pooling2d")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(
        len(CLASSES), activation="softmax", kernel_initializer="he_normal", name="dense"
    )(x)
    return keras.Model(inputs, outputs, name="resnet8_embedded")


def _stage(
    x: KerasTensor, filters: int, stride: int, names: tuple[str, str, str | None], add: str
) -> KerasTensor:
    """Add one residual stage.

    Args:
        x: Input, (N, H, W, C).
        filters: Output channels.
        stride: Stride of the first convolution and of the shortcut.
        names: Numbers of the first, second and shortcut convolution in the reference model;
            without the third the shortcut is the input itself.
        add: Name of the addition.

    Returns:
        Output, (N, H / stride, W / stride, filters).
    """
    first, second, shortcut = names
    # The reference numbers its convolutions with the shortcuts, its other layers without them.
    number = {"1": 1, "3": 3, "6": 5}[first]
    y = _convolution(x, f"conv2d_{first}", filters, stride=stride)
    y = _normalization(y, f"batch_normalization_{number}")
    y = layers.Activation("relu", name=f"activation_{number}")(y)
    y = _convolution(y, f"conv2d_{second}", filters)
    y = _normalization(y, f"batch_normalization_{number + 1}")
    if shortcut is not None:
        x = _convolution(x, f"conv2d_{shortcut}", filters, kernel=1, stride=stride)
    y = layers.Add(name=add)([x, y])
    return layers.Activation("relu", name=f"activation_{number + 1}")(y)


def _convolution(
    x: KerasTensor, name: str, filters: int, kernel: int = 3, stride: int = 1
) -> KerasTensor:
    """Add a convolution whose bias starts at random, because batch normalization never moves it.

    Zero biases, the default, would stay near zero, and a converter that loses them unnoticed.
    """
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        bias_initializer=keras.initializers.RandomNormal(stddev=0.1),
        kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY),
        name=name,
    )(x)


def _normalization(x: KerasTensor, name: str) -> KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def train(epochs: int = EPOCHS, images: int = TRAIN_IMAGES) -> keras.Model:
    """Train a model on the first images of the training split.

    Args:
        epochs: Passes over the images.
        images: Number of training images.

    Returns:
        The trained model.
    """
    keras.utils.set_random_seed(SEED)
    model = build()
    x, y = generate("train", images)
    steps = epochs * -(-images // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.001)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x.astype(np.float32), y, batch_size=BATCH, epochs=epochs, verbose=2)
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, save and score the model.

    Args:
        arguments: Command line without the program name; by default that of the process.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .h5 to write")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=TRAIN_IMAGES, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".h5":
        parser.error(f"--out must end in .h5, got {options.out}")

    start = time.perf_counter()
    model = train(options.epochs, options.images)
    seconds = time.perf_counter() - start
    model.save(options.out, include_optimizer=False)

    x, y = generate("test", TEST_IMAGES)
    probabilities = model.predict(x.astype(np.float32), batch_size=250, verbose=0)
    hits = int(np.count_nonzero(probabilities.argmax(axis=1) == y))
    print(f"trained on {options.images} images, {options.epochs} epochs, in {seconds:.0f} s")
    print(f"top-1 on {TEST_IMAGES} test images: {hits / TEST_IMAGES:.2%} ({hits})")


if __name__ == "__main__":
    main()

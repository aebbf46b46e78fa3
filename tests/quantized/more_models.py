"""Small models of the layers that PyTorch computes in float between integer convolutions."""


def conv(name, source):
    same = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    return ("Conv2D", name, [source], same)


AMONG_CONVOLUTIONS = {
    "PReLU": {"shared_axes": [1, 2]},
    "ELU": {"alpha": 0.5},
    "LayerNormalization": {},
    "GroupNormalization": {"groups": 2},
    "RMSNormalization": {},
    "UnitNormalization": {},
    "Normalization": {},
    "Permute": {"dims": [2, 1, 3]},
    "Resizing": {"height": 7, "width": 5},
    "SpatialDropout2D": {"rate": 0.5},
    "GaussianDropout": {"rate": 0.5},
    "AlphaDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    "ActivityRegularization": {"l2": 0.5},
    "Identity": {},
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "AdaptiveAveragePooling2D": {"output_size": [3, 2]},
    "AdaptiveMaxPooling2D": {"output_size": [3, 2]},
    "Cropping2D": {"cropping": [[1, 0], [0, 1]]},
    "UpSampling2D": {"size": [2, 2]},
    "Conv2DTranspose": {"filters": 4, "kernel_size": [3, 3], "strides": [2, 2]},
    "SeparableConv2D": {"filters": 4, "kernel_size": [3, 3]},
}
OF_SEQUENCES = {
    "SpatialDropout1D": {"rate": 0.5},
    "Conv1D": {"filters": 5, "kernel_size": 3},
    "Conv1DTranspose": {"filters": 5, "kernel_size": 3, "strides": 2},
    "DepthwiseConv1D": {"kernel_size": 3},
    "SeparableConv1D": {"filters": 5, "kernel_size": 3},
    "MaxPooling1D": {"pool_size": 2},
    "AveragePooling1D": {"pool_size": 2},
    "AdaptiveAveragePooling1D": {"output_size": 3},
    "AdaptiveMaxPooling1D": {"output_size": 3},
    "GlobalMaxPooling1D": {},
    "GlobalAveragePooling1D": {},
    "ZeroPadding1D": {"padding": [1, 2]},
    "Cropping1D": {"cropping": [1, 2]},
    "UpSampling1D": {"size": 2},
}
OF_TWO = {
    "Subtract": {},
    "Average": {},
    "Maximum": {},
    "Minimum": {},
}

MODELS = {
    **{
        kind: [conv("a", "x"), (kind, "m", ["a"], chosen), conv("y", "m")]
        for kind, chosen in AMONG_CONVOLUTIONS.items()
    },
    **{
        kind: [
            conv("a", "x"),
            ("Reshape", "r", ["a"], {"target_shape": [12, 12]}),
            (kind, "m", ["r"], chosen),
            ("Dense", "y", ["m"], {"units": 3}),
        ]
        for kind, chosen in OF_SEQUENCES.items()
    },
    **{
        kind: [conv("a", "x"), conv("b", "x"), (kind, "m", ["a", "b"], chosen), conv("y", "m")]
        for kind, chosen in OF_TWO.items()
    },
    "RepeatVector": [
        ("Flatten", "f", ["x"], {}),
        ("RepeatVector", "m", ["f"], {"n": 3}),
        ("Dense", "y", ["m"], {"units": 3}),
    ],
    "Dot": [
        conv("a", "x"),
        conv("b", "x"),
        ("Dot", "m", ["a", "b"], {"axes": [3, 3], "normalize": True}),
        ("Flatten", "f", ["m"], {}),
        ("Dense", "y", ["f"], {"units": 3}),
    ],
}
"""Name of the layer to the calls of its model."""

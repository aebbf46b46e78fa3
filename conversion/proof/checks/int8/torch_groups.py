"""Which layers torch.ao makes one module of, read off the spec: the checks' own idea of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from conversion.core.spec import Layer, Spec

CONVOLUTIONS = tuple(
    f"{kind}{rank}D" for rank in (1, 2) for kind in ("Conv", "DepthwiseConv", "SeparableConv")
)


class Groups:
    """Layers that become one module: a kernel or sum, BatchNormalization, ReLU, in order."""

    def __init__(self, spec: Spec, chosen: Collection[str]) -> None:
        """Look who reads whom.

        Args:
            spec: the model.
            chosen: layers that the scheme leaves in float; they only join one that it leaves too.
        """
        self._spec, self._chosen = spec, chosen
        self._after: dict[str, list[Layer]] = {layer.name: [] for layer in spec.layers}
        for layer in spec.layers:
            for name in dict.fromkeys(layer.inputs):
                self._after[name].append(layer)

    def of(self, name: str) -> tuple[str, ...]:
        """The layers that become one module with a layer, itself first.

        Args:
            name: the layer that is computed first.
        """
        layer = self._spec.layer(name)
        ranks = {len(self._spec.layer(each).shape) for each in layer.inputs}
        summed = layer.kind == "Add" and len(ranks) == 1
        multiplies = layer.kind in (*CONVOLUTIONS, "Dense") and layer.activation == "linear"
        if not (summed or multiplies):
            return (name,)
        group = [name]
        for fits in (_normalises, _is_relu if summed else _is_relu_or_relu6):
            following = self._after[group[-1]]
            alone = len(following) == 1 and group[-1] not in self._spec.outputs
            if alone and len(following[0].inputs) == 1 and fits(following[0], layer):
                if following[0].name in self._chosen and name not in self._chosen:
                    continue
                group.append(following[0].name)
        return tuple(group)


def _normalises(layer: Layer, before: Layer) -> bool:
    """Whether a layer is a BatchNormalization of the channels of the convolution before it."""
    if layer.kind != "BatchNormalization" or before.kind not in CONVOLUTIONS:
        return False
    setting, rank = layer.config.get("axis", -1), len(before.shape) + 1
    axis = setting[0] if isinstance(setting, list | tuple) else setting
    first = before.config.get("data_format") == "channels_first"
    return bool(axis % rank == (1 if first else rank - 1))


def _is_relu(layer: Layer, before: Layer, name: str = "relu", ceiling: object = None) -> bool:
    """Whether a layer cuts off at 0, and at a ceiling, and does nothing else."""
    inside = layer.config.get("activation") if layer.kind == "Activation" else None
    if layer.kind == "Activation" and not isinstance(inside, Mapping):
        return layer.activation == name
    kind = inside["class_name"] if inside else layer.kind
    config = inside["config"] if inside else layer.config
    bent = config.get("negative_slope") or config.get("threshold")
    return kind == "ReLU" and config.get("max_value") == ceiling and not bent


def _is_relu_or_relu6(layer: Layer, before: Layer) -> bool:
    """Whether a layer is a ReLU without a ceiling or with one of 6."""
    return _is_relu(layer, before) or _is_relu(layer, before, "relu6", 6.0)

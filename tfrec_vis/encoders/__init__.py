"""Image encoders behind one registry: pictures in, pooled features out."""

from tfrec_vis.encoders.convert_weights import convert_weights
from tfrec_vis.encoders.registry import get, names, weight_sets
from tfrec_vis.encoders.torch_state_dict import read_torch_state_dict
from tfrec_vis.encoders.weights_error import WeightsError

__all__ = [
    "WeightsError",
    "convert_weights",
    "get",
    "names",
    "read_torch_state_dict",
    "weight_sets",
]

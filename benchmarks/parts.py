"""The parts of a run beside the headline's rounds and the start, in their order.

A new measurement is a module of `measure/` as `part.Part` has it, and a line here.
"""

from measure import (
    callers,
    connections,
    large_model,
    large_tensor,
    loaded_models,
    loading_spike,
    many_models,
    memory,
    rest,
)
from part import Part

PARTS: dict[str, Part] = {
    "rest": rest,
    "large-model": large_model,
    "large-tensor": large_tensor,
    "connections": connections,
    "models": loaded_models,
    "many-models": many_models,
    "loading": loading_spike,
    "memory": memory,
    "client": callers,
}

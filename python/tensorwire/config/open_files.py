"""How many connections the files that the process may open leave room for."""

from __future__ import annotations

import resource

RESERVED = 128
"""Files kept for models, logs and the process itself: a flood of connections must not
keep a model from being loaded."""


def connection_limit() -> int:
    """Most connections by the limit of open files; 0: there is none."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 0
    return max(1, soft - min(RESERVED, soft // 4))

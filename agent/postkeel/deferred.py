"""pluggy, imported without its 30 ms of importlib.metadata.

pluggy 1.0.0 (Debian 12) imports importlib.metadata at once but uses it only to
load entry points by itself, which postkeel does in `discovery`. The standard
library's LazyLoader puts the import off until first use: three times the
interpreter's own start saved in every command.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys


def _defer(name: str) -> None:
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)


_defer("importlib.metadata")

import pluggy  # noqa: E402  after the import above is deferred

__all__ = ["pluggy"]

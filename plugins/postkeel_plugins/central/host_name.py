"""The name of this host, as far as it can be had without asking anybody."""

from __future__ import annotations

import os

_LARGEST = 65_536


def host_name(hosts: str = "/etc/hosts") -> str:
    """The system's name; where that has no domain, the one that the file of hosts gives it."""
    name = os.uname().nodename
    if "." in name:
        return name
    try:
        with open(hosts, "rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace")
    except OSError:
        return name
    for line in text.splitlines():
        _, *names = line.partition("#")[0].split() or [""]
        if name in names:
            return next((one for one in names if one.startswith(f"{name}.")), name)
    return name

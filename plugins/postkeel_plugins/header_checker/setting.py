"""What the configuration says of the service that took a probe."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Target, frozen
from postkeel.postfix.instance import Instance, Role, Service
from postkeel.postfix.levels import switched_on

_BEHIND_POSTSCREEN: Final = "smtpd/pass"


@frozen
class Setting:
    """instance: None where it is not known, and then every value is ""."""

    instance: Instance | None
    service: str

    def value(self, parameter: str) -> str:
        if self.instance is None:
            return ""
        return self.instance.effective(parameter, writer_of(self.instance, self.service)).value

    def is_off(self, parameter: str) -> bool:
        """Whether a yes/no parameter is known to be no."""
        if self.instance is None:
            return False
        return not switched_on(self.instance, parameter, writer_of(self.instance, self.service))

    def where(self, parameter: str) -> str:
        """The place that sets it, or "default"."""
        if self.instance is None:
            return "default"
        return self.instance.where(parameter, writer_of(self.instance, self.service))


def writer_of(instance: Instance, name: str) -> Service | None:
    """Who writes header and log of a service: postscreen hands its clients on to an smtpd."""
    found = instance.service(name)
    if found is not None and found.role is Role.POSTSCREEN:
        return instance.service(_BEHIND_POSTSCREEN)
    return found


def place_of(target: Target) -> str:
    """Such as "[::1]:25"."""
    return str(target).rpartition(" on ")[2]

"""What a figure is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value and the most that it may be, or with `at_least` the least."""

    name: str
    value: float
    limit: float
    unit: str
    beside: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        mark = "met   " if self.met else "MISSED"
        limit = f"(at {'least' if self.at_least else 'most'} {self.limit:g})"
        return f"{mark} {self.name}: {self.value:.2f} {self.unit} {limit}  {self.beside}"

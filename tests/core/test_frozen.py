"""`@frozen` is held against the dataclass that it stands for."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.frozen import frozen


@frozen
class Ours:
    """A value."""

    name: str
    count: int = 0
    more: dict[str, int] = field(default_factory=dict)

    @property
    def doubled(self) -> int:
        return 2 * self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """A value."""

    name: str
    count: int = 0
    more: dict[str, int] = field(default_factory=dict)


@frozen
class Other:
    """Alike, and another."""

    name: str
    count: int = 0
    more: dict[str, int] = field(default_factory=dict)


given_fields = st.fixed_dictionaries(
    {"name": st.text(max_size=3)},
    optional={"count": st.integers(0, 2), "more": st.dictionaries(st.text(max_size=1), st.just(1))},
)


@given(given_fields, given_fields)
def test_equal_shown_and_replaced_as_a_dataclass_is(one, two):
    assert (Ours(**one) == Ours(**two)) == (Theirs(**one) == Theirs(**two))
    assert repr(Ours(**one)) == repr(Theirs(**one)).replace("Theirs", "Ours")
    assert replace(Ours(**one), name="x") == Ours(**{**one, "name": "x"})
    assert Ours(**one) != Other(**one)
    assert Ours(**one) != one


def test_fields_slots_and_hash():
    assert [one.name for one in fields(Ours)] == [one.name for one in fields(Theirs)]
    assert not hasattr(Ours(name="a"), "__dict__")
    assert Ours(name="a", count=2).doubled == 4
    assert Ours(name="a").more is not Ours(name="a").more
    frozen_only = Other(name="a", more=())
    assert hash(frozen_only) == hash(Other(name="a", more=()))


@pytest.mark.parametrize("fields_", [{}, {"nam": "a"}, {"name": "a", "coun": 1}])
def test_a_missing_or_unknown_field_is_named(fields_):
    with pytest.raises(TypeError, match="Ours: missing"):
        Ours(**fields_)
    with pytest.raises(TypeError):
        Ours("a")


def test_nothing_is_assigned_or_deleted():
    one = Ours(name="a")
    with pytest.raises(FrozenInstanceError):
        one.name = "b"
    with pytest.raises(FrozenInstanceError):
        one.other = "b"
    with pytest.raises(FrozenInstanceError):
        del one.name
    assert one.name == "a"


def test_a_class_may_bring_its_own_hash():
    @frozen
    class Own:
        """A value whose name tells it."""

        name: str
        more: int = 0

        def __hash__(self) -> int:
            return hash(self.name)

    assert hash(Own(name="a", more=1)) == hash("a")
    assert Own(name="a", more=1) != Own(name="a", more=2)


@given(given_fields)
def test_copied_and_pickled_as_a_dataclass_is(one):
    assert pickle.loads(pickle.dumps(Ours(**one))) == Ours(**one)  # noqa: S301  made here
    copied = copy.deepcopy(Ours(**one))
    assert copied == Ours(**one)
    assert copied.more is not Ours(**one).more

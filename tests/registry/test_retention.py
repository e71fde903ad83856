"""Retention spares versions with an alias, young ones and the newest ones."""

import pytest
from hypothesis import given, strategies as st

from churn_kedro.registry.lifecycle import ALIASES, RegistryState
from churn_kedro.registry.retention import RetentionParameters, find_expired


def test_retention_lets_go_what_is_old_and_not_among_the_newest() -> None:
    there = RegistryState("m", {"champion": 2}, {number: {} for number in range(1, 8)})
    ages = {1: 100.0, 2: 99.0, 3: 98.0, 4: 40.0, 5: 35.0, 6: 2.0, 7: 1.0}

    assert find_expired(there, ages, RetentionParameters(keep_last=2, keep_days=30)) == [1, 3, 4, 5]
    assert find_expired(there, ages, RetentionParameters(keep_last=4, keep_days=30)) == [1, 3]
    assert find_expired(there, ages, RetentionParameters(keep_last=2, keep_days=98)) == [1, 3]
    assert find_expired(there, ages, RetentionParameters(keep_last=7, keep_days=0)) == []


@st.composite
def registries(draw: st.DrawFn) -> tuple[RegistryState, dict[int, float]]:
    numbers = draw(st.sets(st.integers(1, 60), min_size=1, max_size=30))
    held = draw(st.dictionaries(st.sampled_from(ALIASES), st.sampled_from(sorted(numbers))))
    ages = {number: draw(st.floats(0, 1000)) for number in numbers}
    return RegistryState("m", {str(alias): number for alias, number in held.items()}, {n: {} for n in numbers}), ages


@pytest.mark.slow
@given(registries(), st.integers(1, 40), st.integers(0, 400))
def test_retention_never_touches_an_alias_a_young_or_one_of_the_newest(
    registry: tuple[RegistryState, dict[int, float]], keep_last: int, keep_days: int
) -> None:
    there, ages = registry

    expired = find_expired(there, ages, RetentionParameters(keep_last=keep_last, keep_days=keep_days))

    kept = set(there.tags) - set(expired)
    assert not set(there.aliases.values()) & set(expired)
    assert all(ages[version] >= keep_days for version in expired)
    assert len(kept) >= min(keep_last, len(there.tags))
    assert all(sum(other > version for other in there.tags) >= keep_last for version in expired)
    # What stays, stays for a reason.
    newest = set(sorted(there.tags)[-keep_last:])
    assert all(one in newest or one in there.aliases.values() or ages[one] < keep_days for one in kept)

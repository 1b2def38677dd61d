"""Virtual loads: their energy is the integral of their power."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.simulation.loads import lively_load


@settings(max_examples=30, deadline=None)
@given(
    st.text(max_size=8),
    st.floats(-100, 100).filter(lambda x: abs(x) > 1),
    st.floats(0, 2e9),
    st.floats(1, 600),
)
def test_energy_is_the_integral_of_power(name: str, mean_kw: float, start_s: float, length_s: float) -> None:
    """The closed form agrees with a fine sum of the power curve."""
    load = lively_load(name, mean_kw)
    steps = 2000
    step_s = length_s / steps
    summed = sum(load.power_kw(start_s + (n + 0.5) * step_s) for n in range(steps)) * step_s / 3600

    assert abs(load.energy_kwh(start_s, start_s + length_s) - summed) < 1e-4 * abs(mean_kw)


@given(st.text(max_size=8), st.floats(-100, 100).filter(lambda x: abs(x) > 1), st.floats(0, 2e9))
def test_a_lively_load_keeps_its_sign(name: str, mean_kw: float, at_s: float) -> None:
    """Waves move a load by no more than its swing: a consumer never feeds in."""
    assert 0.59 * abs(mean_kw) <= lively_load(name, mean_kw).power_kw(at_s) / (1 if mean_kw > 0 else -1)

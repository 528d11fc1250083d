"""An alert's entry in an incident says the same in whatever order its news came."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from responder.incidents.model import AlertEntry
from tests.property.counting import counted, examples
from tests.property.deliveries import Instance, instances
from tests.property.desk import START


def news_of(instance: Instance, sender: int, *, firing: bool) -> AlertEntry:
    ends = None if firing or instance.ends is None else START + timedelta(seconds=instance.ends[sender])
    return AlertEntry(starts_at=START + timedelta(seconds=instance.starts[sender]), ends_at=ends)


@st.composite
def tellings(draw: st.DrawFn) -> tuple[bool, list[AlertEntry]]:
    """All that two Alertmanagers tell of one alert, in any order, some of it twice; and whether it fires."""
    every = draw(instances("HighErrorRate"))
    news = [news_of(each, sender, firing=True) for each in every for sender in (0, 1)]
    news += [news_of(each, sender, firing=False) for each in every if each.ends for sender in (0, 1)]
    again = draw(st.lists(st.sampled_from(news), max_size=4))
    return every[-1].ends is None, list(draw(st.permutations([*news, *again])))


@given(telling=tellings())
@examples(500)
def test_the_order_of_news_does_not_matter(telling: tuple[bool, list[AlertEntry]]) -> None:
    fires, (first, *others) = telling
    with counted("news of one alert, in any order"):
        entry = first
        for news in others:
            entry = entry.after(news)
        assert entry.firing is fires
        assert entry.starts_at == max(each.starts_at for each in (first, *others))

"""Where the steps of a drawn workflow stand: laws that hold for any graph, and what a person would draw of a few."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.widgets.layering import arrange

NAMES = [f"step{i}" for i in range(9)]


@st.composite
def graphs(draw):
    """Each step takes from some of those before it."""
    count = draw(st.integers(0, len(NAMES)))
    return {
        NAMES[i]: draw(st.lists(st.sampled_from(NAMES[:i]), max_size=3) if i else st.just([])) for i in range(count)
    }


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_links_run_forward_through_every_layer_between_and_steps_do_not_overlap(graph):
    drawing = arrange(graph)
    assert list(drawing.places) == list(graph)
    assert {(link.source, link.target) for link in drawing.links} == {
        (s, t) for t, given in graph.items() for s in given
    }
    for link in drawing.links:
        first, last = drawing.places[link.source][0], drawing.places[link.target][0]
        assert [layer for layer, _ in link.through] == list(range(first + 1, last)) and first < last
    for layer in range(drawing.layers):
        row = sorted(place for at, place in drawing.places.values() if at == layer)
        assert row and all(b - a > 1 - 1e-2 for a, b in zip(row, row[1:], strict=False))
    assert min((place for _, place in drawing.places.values()), default=0) == 0
    assert arrange(graph) == drawing


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=6))
def test_circles_and_links_from_nowhere_are_drawn_as_far_as_they_go(graph):
    drawing = arrange(graph)
    assert set(drawing.places) == set(graph)
    assert all(drawing.places[a.source][0] < drawing.places[a.target][0] for a in drawing.links)


def test_a_chain_is_a_straight_line_and_a_fork_is_even():
    chain = arrange({"movies": [], "align": ["movies"], "ctf": ["align"]})
    assert chain.places == {"movies": (0, 0), "align": (1, 0), "ctf": (2, 0)}
    fork = arrange({"movies": [], "one": ["movies"], "two": ["movies"], "both": ["one", "two"]})
    assert fork.places == {"movies": (0, 0.5), "one": (1, 0), "two": (1, 1), "both": (2, 0.5)}


def test_a_link_past_a_step_goes_round_it():
    drawing = arrange({"shift": [], "ctf": ["shift"], "quality": ["shift", "ctf"]})
    past = next(link for link in drawing.links if (link.source, link.target) == ("shift", "quality"))
    ((layer, place),) = past.through
    assert layer == 1 and abs(place - drawing.places["ctf"][1]) > 0.7


def test_two_branches_do_not_cross():
    graph = {"m": [], "a": ["m"], "b": ["m"], "b2": ["b"], "a2": ["a"], "a3": ["a2"], "b3": ["b2"]}
    place = {name: at for name, (_, at) in arrange(graph).places.items()}
    signs = {place["a" + n] < place["b" + n] for n in ("", "2", "3")}
    assert len(signs) == 1

"""The line of those who wait: nobody is lost, nobody is overtaken within an award, no award waits for a flood."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dure.gateway.protocol.turns import Turns


def served(turns: Turns[str]) -> list[str]:
    order = []
    while (head := turns.head()) is not None:
        turns.served(*head)
        order.append(head[1])
    return order


def test_awards_take_turns_and_each_is_served_in_order():
    turns: Turns[str] = Turns()
    for number in range(4):
        turns.join("a", f"a{number}")
    turns.join("b", "b0")
    turns.join("c", "c0")
    turns.join("c", "c1")
    assert turns.heads() == [("a", "a0"), ("b", "b0"), ("c", "c0")]
    assert served(turns) == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]


def test_one_that_had_its_turn_and_could_not_use_it_is_next():
    turns: Turns[str] = Turns()
    turns.join("a", "a0")
    turns.join("b", "b0")
    turns.join("b", "back", first=True)
    assert served(turns) == ["back", "a0", "b0"]


def test_leaving_from_the_middle():
    turns: Turns[str] = Turns()
    for ticket in ("a0", "a1", "a2"):
        turns.join("a", ticket)
    assert turns.leave("a", "a1")
    assert not turns.leave("a", "a1")
    assert not turns.leave("b", "b0")
    assert (len(turns), list(turns)) == (2, ["a0", "a2"])


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.sampled_from("abcde"))
def test_how_many_are_ahead_is_how_many_are_served_first(awards, newcomer):
    turns: Turns[str] = Turns()
    for number, award in enumerate(awards):
        turns.join(award, f"{award}{number}")
    ahead = turns.ahead_of(newcomer)
    turns.join(newcomer, "new")
    # At most: an award whose turn comes later than the newcomer's may be served once less.
    assert served(turns).index("new") <= ahead <= len(awards)


class Line(RuleBasedStateMachine):
    """Against a model of plain lists: whom each award has waiting, and how often others went before it."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: Turns[int] = Turns()
        self.waiting: dict[str, list[int]] = {}
        self.passed_over: dict[str, dict[str, int]] = {}
        self.next = 0

    @rule(award=st.sampled_from("abcde"), first=st.booleans())
    def join(self, award: str, first: bool) -> None:
        self.next += 1
        self.turns.join(award, self.next, first=first)
        line = self.waiting.setdefault(award, [])
        if not line:
            self.passed_over[award] = {}
        line.insert(0 if first else len(line), self.next)
        if first:  # the turn that it could not use does not count
            for before in self.passed_over.values():
                before.pop(award, None)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data) -> None:
        award = data.draw(st.sampled_from(sorted(self.waiting)))
        ticket = data.draw(st.sampled_from(self.waiting[award]))
        assert self.turns.leave(award, ticket)
        self._gone(award, ticket)

    @precondition(lambda self: self.waiting)
    @rule()
    def serve(self) -> None:
        head = self.turns.head()
        assert head is not None
        award, ticket = head
        assert ticket == self.waiting[award][0]
        for other in self.waiting.keys() - {award}:
            before = self.passed_over[other]
            before[award] = before.get(award, 0) + 1
            assert before[award] == 1, "an award had two turns while another waited for one"
        self.passed_over[award] = {}
        self.turns.served(award, ticket)
        self._gone(award, ticket)

    def _gone(self, award: str, ticket: int) -> None:
        self.waiting[award].remove(ticket)
        if not self.waiting[award]:
            del self.waiting[award]
            del self.passed_over[award]
            for before in self.passed_over.values():
                before.pop(award, None)  # it comes back as a newcomer, behind those who wait

    @invariant()
    def nobody_is_lost(self) -> None:
        assert len(self.turns) == sum(map(len, self.waiting.values()))
        assert sorted(self.turns) == sorted(ticket for line in self.waiting.values() for ticket in line)


TestLine = Line.TestCase

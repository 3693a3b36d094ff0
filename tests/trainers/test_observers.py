"""Several observers as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.trainers.runs import Journal
from vitscope.trainers.observer import Observer, Observers, Plan


class Failing(Observer):
    def __init__(self, at):
        self.at = at

    def begin(self, folder, plan):
        if self.at == "begin":
            raise ValueError(self.at)

    def end(self):
        if self.at == "end":
            raise ValueError(self.at)


PLAN = Plan(epochs=2, done=0, steps=1, images=4)


def test_all_are_told_the_same(tmp_path):
    one, two = Journal(), Journal()
    both = Observers(one, two)
    both.begin(tmp_path, PLAN)
    both.advance(4)
    both.epoch({"epoch": 1.0}, best=True)
    both.end()
    assert one.told == two.told == [("begin", 2, 4, 0), ("epoch", 1, True), ("end",)]
    assert one.steps == two.steps == 1


def test_the_end_reaches_all_whatever_one_does(tmp_path):
    first, last = Journal(), Journal()
    both = Observers(first, Failing("end"), last)
    both.begin(tmp_path, PLAN)
    with pytest.raises(ValueError, match="end"):
        both.end()
    assert first.told[-1] == last.told[-1] == ("end",)


def test_those_that_have_begun_are_ended_where_one_cannot(tmp_path):
    first, last = Journal(), Journal()
    with pytest.raises(ValueError, match="begin"):
        Observers(first, Failing("begin"), last).begin(tmp_path, PLAN)
    assert first.told == []
    assert [what[0] for what in last.told] == ["begin", "end"]


def test_none_is_as_good_as_an_observer(tmp_path):
    Observers().begin(tmp_path, PLAN)
    Observers().end()


def test_a_plan_knows_the_best_row():
    rows = ({"epoch": 1.0}, {"epoch": 2.0})
    assert PLAN.best is None
    assert replace(PLAN, history=rows, best_epoch=2).best is rows[1]

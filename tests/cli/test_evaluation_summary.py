from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.oracles.samples import made
from vitscope.analysis.evaluation import evaluate
from vitscope.cli.evaluation_summary import summarise
from vitscope.report.evaluation import EvaluationReport


def _printed(capsys, logits, labels, *, classes=None):
    evaluation = evaluate(made(np.array(logits), labels, classes=classes), replicates=200)
    summarise(EvaluationReport(Path("out"), evaluation))
    return capsys.readouterr().out


def _line(printed, start):
    return next(line for line in printed.splitlines() if line.startswith(start))


def test_ordinary_numbers_have_four_digits(capsys):
    printed = _printed(capsys, [[1.0, 0.0]] * 40, [0, 1] * 20)  # log(1 + 1/e) + 1/2
    words = _line(printed, "negative log-likelihood").split()
    assert words[2] == "0.8133"
    assert [len(word) for word in words[2:]] == [6, 6, 2, 6]


def test_a_huge_number_stays_short(capsys):
    printed = _printed(capsys, [[1e300, 0.0], [0.0, 1.0], [1.0, 0.0]] * 2, [1, 1, 0] * 2)
    assert _line(printed, "negative log-likelihood").split()[2] == "3.333e+299"
    assert max(map(len, printed.splitlines())) < 100


def test_the_name_of_a_class_makes_no_line(capsys):
    printed = _printed(capsys, [[1.0, 0.0], [1.0, 0.0]], [0, 1], classes=("cat\ndog", "b\x1b[31m"))
    assert _line(printed, "cat?dog").split() == ["cat?dog", "100.0%", "1/1"]
    assert _line(printed, "b?[31m taken for cat?dog").split()[-1] == "1"

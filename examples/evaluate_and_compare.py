"""Two models' logits from any program: every metric with its interval, and what differs for certain."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import vitscope

digits = load_digits()
train, test = slice(None, None, 2), slice(1, None, 2)
classes = tuple(map(str, range(10)))
names = tuple(f"digit {index}" for index in range(1, len(digits.data), 2))


def predictions(model, logits):
    """Fit a model and return what it says of the test images, as probabilities or as logits."""
    model.fit(digits.data[train] / 16, digits.target[train])
    scores = model.decision_function if logits else model.predict_proba
    kind = "logits" if logits else "probabilities"
    return vitscope.Predictions(
        scores(digits.data[test] / 16), digits.target[test].astype(np.int64), classes, names, kind=kind
    )


linear = predictions(LogisticRegression(max_iter=200), logits=True)
forest = predictions(RandomForestClassifier(random_state=0), logits=False)

metrics = vitscope.evaluate(linear).metrics()
for key in ("accuracy", "nll", "ece", "aurc"):
    low, high = metrics[f"{key}_interval"] or (float("nan"), float("nan"))
    print(f"{key:9} {metrics[key]:.4f}  [{low:.4f}, {high:.4f}]")

difference = vitscope.compare({"linear": linear, "forest": forest}).difference("forest", "linear")
low, high = difference.intervals[0]
print(
    f"forest - linear: {difference.values[0]:+.2%} [{low:+.2%}, {high:+.2%}], McNemar p = {difference.p:.3f}"
)

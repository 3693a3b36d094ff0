"""Two classifiers of any kind, here scikit-learn's: the paired interval of their difference."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import vitscope
from vitscope.figures.comparison import draw_comparison
from vitscope.figures.files import save_figure

pixels, labels = load_digits(return_X_y=True)
classes = tuple(map(str, range(10)))
names = tuple(f"digit {index}" for index in range(1, len(labels), 2))


def predictions(classifier):
    """Fit to every other digit, and return what the classifier says of the rest."""
    shares = classifier.fit(pixels[::2] / 16, labels[::2]).predict_proba(pixels[1::2] / 16)
    return vitscope.Predictions(shares, labels[1::2].astype(np.int64), classes, names, kind="probabilities")


models = {"linear": LogisticRegression(max_iter=200), "forest": RandomForestClassifier(random_state=0)}
comparison = vitscope.compare({name: predictions(model) for name, model in models.items()})
with vitscope.paper_style("neurips"):
    save_figure(draw_comparison(comparison), "comparison")

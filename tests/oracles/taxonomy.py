"""CIFAR-100's coarse labels by index, as its files hold them; superclass scores image by image."""

from __future__ import annotations

# The data set's files have two numbers an image. This is the coarse one of each fine one, as tools that read
# the files publish it: by index and not by name, unlike the list on the authors' page. Both are alphabetical.
_COARSE = (
    "4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12 14 16 9 11 5 "
    "5 19 8 8 15 13 14 17 18 10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12 1 9 19 2 10 0 1 16 12 9 13 15 13 "
    "16 19 2 4 6 19 5 5 8 19 18 1 2 15 6 0 17 8 14 13"
)
COARSE_OF_FINE = tuple(int(word) for word in _COARSE.split())


def scores(labels, predicted, member):
    """Return n, superclass hits, errors, errors within the superclass, and the chance of the last."""
    hits = errors = within = 0
    chance = 0.0
    for true, said in zip(labels, predicted, strict=True):
        hits += member[true] == member[said]
        if true != said:
            errors += 1
            within += member[true] == member[said]
            others = [index for index in range(len(member)) if index != true]
            chance += sum(member[index] == member[true] for index in others) / len(others)
    return len(labels), hits, errors, within, chance / errors if errors else None

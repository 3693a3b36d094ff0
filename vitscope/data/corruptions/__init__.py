"""Common corruptions: the fifteen kinds of Hendrycks and Dietterich 2019, and their four extras, on the fly.

`kinds` names them, `generator` corrupts pixels, `corruptedset` makes a corrupted data set of a clean one. The
kinds themselves are in `noise`, `blur`, `weather`, `digital` and `spatter`; `GENERATOR` names this
implementation, so that its results are never mistaken for those of the published CIFAR-10-C and ImageNet-C.

Given the authors' random numbers, the images are theirs (their code of 2019 under today's libraries, on 48
images of 32 pixels and 3 of 224, every kind and severity): at most two grey levels away, less than a tenth of
one in the mean; but for `spatter` with water, where the mean is half a level, and for `frost`, whose
photographs are imitated.
"""

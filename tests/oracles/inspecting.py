"""What heads, places and layers do, in plain loops over lists: the definitions, read aloud."""

from __future__ import annotations

import math


def entropy(row):
    return sum(-share * math.log(share) for share in row if share > 0)


def mean_entropy(layer, *, queries):
    """`[image][head][query][key]` as one number a head, over these queries and all images."""
    heads = len(layer[0])
    return [
        sum(entropy(image[head][query]) for image in layer for query in queries) / len(layer) / len(queries)
        for head in range(heads)
    ]


def mean_distance(layer, grid, prefix, patch):
    """The attention-weighted distance of each patch to all patches, one number a head."""
    places = [(row * patch[0], column * patch[1]) for row in range(grid[0]) for column in range(grid[1])]
    result = []
    for head in range(len(layer[0])):
        total, count = 0.0, 0
        for image in layer:
            for query, here in enumerate(places):
                row = image[head][prefix + query][prefix:]
                if sum(row) == 0:
                    continue
                total += sum(
                    share * math.dist(here, there) for share, there in zip(row, places, strict=True)
                ) / sum(row)
                count += 1
        result.append(total / count)
    return result


def cosine(one, other):
    inner = sum(a * b for a, b in zip(one, other, strict=True))
    return inner / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other))


def unbiased_hsic(features, others):
    """HSIC₁ of two lists of features, `[image][feature]`, linear kernels, from its three sums."""
    n = len(features)

    def kernel(rows):
        return [
            [0.0 if i == j else sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) for j in range(n)]
            for i in range(n)
        ]

    first, second = kernel(features), kernel(others)
    trace = sum(first[i][j] * second[j][i] for i in range(n) for j in range(n))
    totals = sum(map(sum, first)) * sum(map(sum, second))
    middle = sum(first[i][k] * second[k][j] for i in range(n) for j in range(n) for k in range(n))
    return (trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * middle) / (n * (n - 3))


def minibatch_cka(batches, others):
    """Lists of minibatches of features, each of the three terms summed before the ratio."""
    cross = sum(unbiased_hsic(one, two) for one, two in zip(batches, others, strict=True))
    own = sum(unbiased_hsic(one, one) for one in batches)
    theirs = sum(unbiased_hsic(two, two) for two in others)
    return cross / math.sqrt(own * theirs)


def biased_cka(features, others):
    """The usual, biased CKA with centred kernels, as a warning."""
    n = len(features)

    def centred(rows):
        kernel = [[sum(a * b for a, b in zip(one, two, strict=True)) for two in rows] for one in rows]
        means = [sum(row) / n for row in kernel]
        whole = sum(means) / n
        return [[kernel[i][j] - means[i] - means[j] + whole for j in range(n)] for i in range(n)]

    first, second = centred(features), centred(others)

    def inner(one, two):
        return sum(
            a * b for left, right in zip(one, two, strict=True) for a, b in zip(left, right, strict=True)
        )

    return inner(first, second) / math.sqrt(inner(first, first) * inner(second, second))

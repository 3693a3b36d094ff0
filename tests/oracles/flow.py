"""Attention flow in plain loops: augmenting paths over a dictionary of capacities, and cuts by trying all."""

from __future__ import annotations

from collections import deque
from itertools import product as combinations

import numpy as np

from tests.oracles.rollout import fused, with_residual


def edges(layers, how="mean"):
    """Capacities {((l, i), (l − 1, j)): Â_l[i][j]} of one image; layers are `[head][query][key]`."""
    found = {}
    for depth, heads in enumerate(layers, start=1):
        matrix = with_residual(fused(heads, how))
        for query, row in enumerate(matrix):
            for key, value in enumerate(row):
                found[(depth, query), (depth - 1, key)] = value
    return found


def averaged(layers, prefix, how="mean"):
    """The same, with one query in the last layer: the mean of its patches' rows."""
    found = edges(layers, how)
    depth, tokens = len(layers), len(layers[0][0])
    rows = range(prefix, tokens)
    means = [sum(found[(depth, row), (depth - 1, key)] for row in rows) / len(rows) for key in range(tokens)]
    kept = {edge: value for edge, value in found.items() if edge[0][0] < depth}
    return kept | {((depth, 0), (depth - 1, key)): mean for key, mean in enumerate(means)}


def maximum_flow(capacities, start, end):
    """Edmonds and Karp: send along a shortest path with room left until there is none."""
    room, neighbours, total = {}, {}, 0.0
    for (tail, head), value in capacities.items():
        room[tail, head] = value
        room.setdefault((head, tail), 0.0)
        neighbours.setdefault(tail, []).append(head)
        neighbours.setdefault(head, []).append(tail)
    while True:
        came, queue = {start: None}, deque([start])
        while queue and end not in came:
            node = queue.popleft()
            for other in neighbours[node]:
                if other not in came and room[node, other] > 1e-13:
                    came[other] = node
                    queue.append(other)
        if end not in came:
            return total
        path, node = [], end
        while came[node] is not None:
            path.append((came[node], node))
            node = came[node]
        sent = min(room[edge] for edge in path)
        for tail, head in path:
            room[tail, head] -= sent
            room[head, tail] += sent
        total += sent


def smallest_cut(capacities, start, end):
    """The least capacity that leaves a set of nodes with the start and without the end, of all such sets."""
    nodes = sorted({node for edge in capacities for node in edge} - {start, end})
    best = float("inf")
    for chosen in combinations((False, True), repeat=len(nodes)):
        inside = {start} | {node for node, kept in zip(nodes, chosen, strict=True) if kept}
        crossing = [
            value for (tail, head), value in capacities.items() if tail in inside and head not in inside
        ]
        best = min(best, sum(crossing))
    return best


def flow_map(layers, grid, prefix, pool, how="mean"):
    """The map of one image, `[row, column]`."""
    capacities = edges(layers, how) if pool == "cls" else averaged(layers, prefix, how)
    tokens, start = len(layers[0][0]), (len(layers), 0)
    flows = [maximum_flow(capacities, start, (0, token)) for token in range(tokens)]
    return np.array([flow / sum(flows) for flow in flows][prefix:]).reshape(grid)

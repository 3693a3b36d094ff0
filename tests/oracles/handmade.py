"""Attention by hand in many ways, and what matrix each of them applies, found by trying it on unit values.

Each way is `compute(query, key, value)` over `[image, head, token, channel]`, as `smallnets.Mixer` takes it.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def applied_matrix(compute, query, key):
    """The matrix `[image, head, query, key]` that a way applies to values: its answer to each token alone."""
    columns = []
    for token in range(key.shape[-2]):
        value = torch.zeros_like(key)
        value[:, :, token] = 1
        columns.append(compute(query, key, value)[..., 0])
    return torch.stack(columns, dim=-1)


def scores_of(query, key):
    return query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])


def weights_of(query, key):
    return scores_of(query, key).softmax(dim=-1)


def by_einsum(query, key, value):
    weights = torch.einsum("bhid,bhjd->bhij", query, key).softmax(dim=-1)
    return torch.einsum("bhij,bhjd->bhid", weights, value)


def by_einsum_with_dots(query, key, value):
    weights = torch.softmax(torch.einsum("... i d, ... j d -> ... i j", query, key), -1)
    return torch.einsum("... i j, ... j d -> ... i d", [weights, value])


def values_first_in_einsum(query, key, value):
    return torch.einsum("bhjd,bhij->bhid", value, weights_of(query, key))


def keys_as_rows_in_einsum(query, key, value):
    return torch.einsum("bhji,bhjd->bhid", scores_of(query, key).transpose(-2, -1).softmax(dim=-2), value)


def values_before_weights(query, key, value):
    return (value.transpose(-2, -1) @ weights_of(query, key).transpose(-2, -1)).transpose(-2, -1)


def softmax_over_rows(query, key, value):
    weights = scores_of(key, query).softmax(dim=-2)
    return (value.transpose(-2, -1) @ weights).transpose(-2, -1)


def turned_and_copied(query, key, value):
    """The transposed weights, in a memory layout that looks like that of the weights: columns sum to 1."""
    return weights_of(query, key).transpose(-2, -1).contiguous() @ value


def functional_with_dtype(query, key, value):
    return F.softmax(scores_of(query, key), dim=-1, dtype=torch.float64).to(value.dtype).matmul(value)


def log_softmax_exponentiated(query, key, value):
    return F.log_softmax(scores_of(query, key), dim=-1).exp() @ value


def gated_mix(query, key, value):
    """ConViT's way: two softmaxes, mixed, and normalised in place."""
    place = torch.arange(query.shape[-2], dtype=query.dtype)
    near = -(place[:, None] - place).abs().expand(*query.shape[:2], -1, -1)
    weights = 0.3 * weights_of(query, key) + 0.8 * near.softmax(dim=-1)
    weights /= weights.sum(dim=-1, keepdim=True)
    return weights @ value


def masked_and_normalised(query, key, value):
    weights = weights_of(query, key)
    weights[..., ::3] = 0
    return (weights / weights.sum(dim=-1, keepdim=True)) @ value


def two_steps(query, key, value):
    """Each token's neighbours' neighbours."""
    weights = weights_of(query, key)
    return (weights @ weights) @ value


def values_in_two_parts(query, key, value):
    weights = weights_of(query, key)
    return torch.cat([weights @ value[..., :1], weights @ value[..., 1:]], dim=-1)


def through_a_cast(query, key, value):
    weights = weights_of(query, key).to(torch.float64).to(torch.float32).contiguous()
    return F.dropout(weights, 0.5, training=False) @ value


def without_a_matrix_product(query, key, value):
    """Scores by distance, normalised by hand: only the product with the values tells."""
    near = torch.exp(-torch.cdist(query, key))
    return (near / near.sum(dim=-1, keepdim=True)) @ value


RIGHT = (
    by_einsum,
    by_einsum_with_dots,
    values_first_in_einsum,
    keys_as_rows_in_einsum,
    values_before_weights,
    softmax_over_rows,
    functional_with_dtype,
    log_softmax_exponentiated,
    gated_mix,
    masked_and_normalised,
    two_steps,
    values_in_two_parts,
    through_a_cast,
    without_a_matrix_product,
)


def heads_mixed(query, key, value):
    """CaiT's way: any numbers, negative ones too, mix the heads after the softmax."""
    weights = weights_of(query, key)
    return (1.5 * weights - 0.7 * weights.flip(1)) @ value


def masked_alone(query, key, value):
    return weights_of(query, key).masked_fill(torch.eye(query.shape[-2], dtype=torch.bool), 0.0) @ value


def zeroed_through_a_view(query, key, value):
    weights = weights_of(query, key)
    weights[..., 0].zero_()
    return weights @ value


def sigmoids(query, key, value):
    return torch.sigmoid(scores_of(query, key)) @ value


def logarithms(query, key, value):
    return F.log_softmax(scores_of(query, key), dim=-1) @ value


def added_in_one_call(query, key, value):
    flat = [each.flatten(0, 1) for each in (value, weights_of(query, key), value)]
    return torch.baddbmm(*flat).view_as(value)


def multiplied_and_summed(query, key, value):
    return (weights_of(query, key).unsqueeze(-1) * value.unsqueeze(-3)).sum(dim=-2)


def linear_attention(query, key, value):
    return query.relu() @ (key.relu().transpose(-2, -1) @ value)


def scores_without_softmax(query, key, value):
    return (query @ key.transpose(-2, -1)) @ value


def first_token_left_out(query, key, value):
    return weights_of(query, key)[..., 1:] @ value[..., 1:, :]


def in_pieces_of_queries(query, key, value):
    return torch.cat([weights_of(part, key) @ value for part in query.chunk(2, dim=-2)], dim=-2)


def head_after_head(query, key, value):
    pairs = [weights_of(query[:, [head]], key[:, [head]]) @ value[:, [head]] for head in range(2)]
    return torch.cat(pairs, dim=1)


def image_after_image(query, key, value):
    alone = [F.scaled_dot_product_attention(*three) for three in zip(query, key, value, strict=True)]
    return torch.stack(alone)


def half_of_the_batch(query, key, value):
    return torch.cat([F.scaled_dot_product_attention(query[:1], key[:1], value[:1]), value[1:]])


def difference(query, key, value):
    """Differential attention, fused: two matrices, one taken from the other."""
    one = F.scaled_dot_product_attention(query, key, value)
    return one - 0.5 * F.scaled_dot_product_attention(key, query, value)


def one_after_the_other(query, key, value):
    return weights_of(query, key) @ (weights_of(key, query) @ value)


def fused_after_fused(query, key, value):
    inner = F.scaled_dot_product_attention(key, query, value)
    return F.scaled_dot_product_attention(query, key, inner)


def used_again_masked(query, key, value):
    weights = weights_of(query, key)
    return weights @ value + (weights * (weights > 0.01)) @ value


def changed_after_use(query, key, value):
    weights = weights_of(query, key)
    mixed = weights @ value
    weights.mul_(0.5)
    return mixed


def heads_as_a_batch(query, key, value):
    flat = [each.flatten(0, 1) for each in (query, key, value)]
    return torch.bmm(weights_of(*flat[:2]), flat[2]).view_as(value)


def never_used(query, key, value):
    return weights_of(query, key).amax(dim=-1, keepdim=True) * value


WRONG = (
    heads_mixed,
    turned_and_copied,
    masked_alone,
    zeroed_through_a_view,
    sigmoids,
    logarithms,
    added_in_one_call,
    multiplied_and_summed,
    linear_attention,
    scores_without_softmax,
    first_token_left_out,
    in_pieces_of_queries,
    head_after_head,
    image_after_image,
    half_of_the_batch,
    difference,
    one_after_the_other,
    fused_after_fused,
    used_again_masked,
    changed_after_use,
    heads_as_a_batch,
    never_used,
)

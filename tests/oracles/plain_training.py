"""A training loop as one would write it at first: whole batches, soft labels, one optimizer of torch."""

from __future__ import annotations

import copy
import math

import torch

from vitscope.models.registry import build_model
from vitscope.trainers.augmentation.mixing import Mixing
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.preparation import prepare


def plain_training(settings, teacher=None):
    """Return the losses of every step, and the weights at the end: the last ones and their average."""
    prepared = prepare(settings)
    torch.manual_seed(stream(settings.seed, 3).initial_seed())
    network = build_model(settings.model.name, prepared.options)
    average = copy.deepcopy(network)
    decayed = [tensor for name, tensor in network.named_parameters() if decays(name, tensor)]
    others = [tensor for name, tensor in network.named_parameters() if not decays(name, tensor)]
    given = settings.optimizer
    optimizer = torch.optim.AdamW(
        [{"params": others, "weight_decay": 0.0}, {"params": decayed, "weight_decay": given.weight_decay}],
        betas=(given.beta1, given.beta2),
    )
    count, size, losses = len(prepared.train), settings.batch_size, []
    steps = math.ceil(count / size)
    pixels = torch.from_numpy(prepared.train.array)
    labels = torch.from_numpy(prepared.train.labels)
    for epoch in range(settings.epochs):
        order = torch.randperm(count, generator=stream(settings.seed, epoch, 0))
        draws = prepared.augmentation.draw(settings.seed, epoch, count)
        for step in range(steps):
            rows = order[step * size : (step + 1) * size]
            images = prepared.preprocessing.normalize(prepared.augmentation.apply(pixels[rows], draws[rows]))
            truth = torch.nn.functional.one_hot(labels[rows], 10).float()
            mixing = Mixing.from_settings(settings.augment)
            if mixing.active and epoch < settings.epochs * (1 - settings.augment.mix_off):
                mix = mixing.draw(settings.seed, epoch, step, len(rows), (8, 8))
                images = mix.apply(images, images[mix.partner])
                truth = mix.share[:, None] * truth + (1 - mix.share[:, None]) * truth[mix.partner]
            logits = network(images)
            loss = cross_entropy(logits, truth, settings.label_smoothing)
            if teacher is not None:
                loss = loss * (1 - settings.distill.share)
                loss = loss + settings.distill.share * distance(logits, teacher, images, settings, prepared)
            done = epoch * steps + step
            for group in optimizer.param_groups:
                group["lr"] = rate(settings, done, steps)
            optimizer.zero_grad()
            loss.backward()
            clip(network, settings.clip_grad)
            optimizer.step()
            average_in(average, network, settings.ema, done)
            losses.append(float(loss.detach()))
    return losses, network.state_dict(), average.state_dict()


def decays(name, tensor):
    return tensor.ndim > 1 and name not in ("pos_embed", "cls_token")


def cross_entropy(logits, truth, smoothing):
    soft = truth * (1 - smoothing) + smoothing / truth.shape[1]
    logs = logits - logits.exp().sum(dim=1, keepdim=True).log()
    return -(soft * logs).sum() / len(truth)


def distance(logits, teacher, images, settings, prepared):
    """T² times the mean of Σ p (log p − log q), class by class."""
    own = torch.tensor(prepared.preprocessing.std)[:, None, None]
    pixels = (images * own + torch.tensor(prepared.preprocessing.mean)[:, None, None]) * 255
    theirs = teacher.preprocessing
    seen = (pixels / 255 - torch.tensor(theirs.mean)[:, None, None]) / torch.tensor(theirs.std)[:, None, None]
    warmth = settings.distill.temperature
    with torch.no_grad():
        wanted = (teacher.eval()(seen) / warmth).softmax(dim=1)
    got = (logits / warmth).softmax(dim=1)
    return warmth**2 * (wanted * (wanted.log() - got.log())).sum() / len(images)


def rate(settings, step, steps):
    warmup, total = round(settings.schedule.warmup_epochs * steps), settings.epochs * steps
    if step < warmup:
        return settings.optimizer.lr * (step + 1) / warmup
    least = settings.schedule.final_lr
    turn = math.cos(math.pi * (step - warmup) / (total - warmup))
    return settings.optimizer.lr * (least + (1 - least) * (1 + turn) / 2)


def clip(network, most):
    norm = math.sqrt(sum(float((tensor.grad**2).sum()) for tensor in network.parameters()))
    if norm > most:
        for tensor in network.parameters():
            tensor.grad *= most / norm


def average_in(average, network, most, step):
    """The average follows at once at first, then ever more slowly: 1 − s^(−2/3) for the s-th step."""
    decay = 0.0 if step < 2 else min(most, 1 - step ** (-2 / 3))
    new = network.state_dict()
    for name, tensor in average.state_dict().items():
        tensor.copy_(decay * tensor + (1 - decay) * new[name])

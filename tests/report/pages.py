"""Evaluations made without a model, and what a page holds, read by Python's own parser."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np

from vitscope.analysis.evaluation import evaluate
from vitscope.data.sources import DataSpec, load_split
from vitscope.paths import write_json
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance

DIGEST = "sha256:made-up"


def digits(seed=0, *, data="digits"):
    """Return the test split of the digits, and predictions of them that are right three times in four."""
    images = load_split(DataSpec("digits"), "test")
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(len(images), 10))
    logits[np.arange(len(images)), images.labels] += 2.2
    made = Provenance(
        command=("vitscope", "evaluate", "best.pth"),
        created=f"2026-01-01T00:00:0{seed}+00:00",
        checkpoint="best.pth",
        checkpoint_digest=DIGEST,
        data=data,
        split="test",
        data_digest=images.digest,
    )
    return images, Predictions(logits, images.labels, images.classes, images.names, provenance=made)


def write(predictions, folder):
    """Write the part of an evaluation folder that a page reads."""
    predictions.save(folder / "predictions")
    write_json(folder / "metrics.json", evaluate(predictions, replicates=20).metrics())
    about = {"format": "vitscope.evaluation", "provenance": predictions.provenance.to_dict()}
    write_json(folder / "manifest.json", about)
    return folder


class Parsed(HTMLParser):
    """The tags, texts, and the data blocks of a page."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.blocks, self._open = [], [], [], ""
        self.feed(path.read_bytes().decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open:
            self.blocks.append((self._open, self.tags[-1][1], data))
        else:
            self.texts.append(data)

    @property
    def text(self):
        return "".join(self.texts)

    def data(self):
        """Return what the data blocks hold."""
        return [json.loads(text) for _, about, text in self.blocks if about.get("type") == "application/json"]

    def attributes(self, name):
        return [about[name] for _, about in self.tags if name in about]

"""Images as points in the plane: what the last layer makes of them, by t-SNE, with how far to trust it."""

import vitscope
from vitscope.figures.embedding import draw_embedding
from vitscope.figures.files import save_figure

model = vitscope.load("runs/demo/best.pth")
images = vitscope.load_split(model.data, "test")
seen = vitscope.predict(model, images, features=True)
found = vitscope.project(seen.features, "tsne", seed=0)
trust = vitscope.trust(seen.features, found.points)
embedding = vitscope.Embedding(
    found.points,
    seen.labels,
    seen.predicted,
    seen.probabilities.max(axis=1),
    seen.classes,
    seen.names,
    method="tsne",
    about=found.about | trust.about(),
)
with vitscope.paper_style("neurips"):
    save_figure(draw_embedding(embedding), "embedding")

"""Which explanations to believe on this model: each method's scores beside maps that know nothing."""

import vitscope
from vitscope.figures.faithfulness import draw_method_ranking
from vitscope.figures.files import save_figure

model = vitscope.load("runs/demo/best.pth")
data = vitscope.load_split(model.data, "test")
images = model.prepare([data.image(index) for index in range(20)])
record = vitscope.faithfulness(
    model, images, methods=["rollout", "relevance", "grad-cam"], metrics=["deletion", "insertion"]
)
ranking = vitscope.rank_methods(record)
with vitscope.paper_style("neurips"):
    save_figure(draw_method_ranking(ranking), "faithfulness")
for method in record.methods:
    print(f"{method}: {ranking.verdict(method)}")

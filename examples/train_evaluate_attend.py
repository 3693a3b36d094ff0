"""From nothing to a checkpoint, its accuracy and an attention map, in Python."""

from pathlib import Path

import vitscope
from vitscope.figures.attention import draw_attention_maps
from vitscope.figures.files import save_figure
from vitscope.trainers.overrides import apply_overrides
from vitscope.trainers.presets import load_preset
from vitscope.trainers.settings import parse_settings
from vitscope.trainers.training import train

settings = parse_settings(apply_overrides(load_preset("digits"), ["epochs=3"]))
run = train(settings, out=Path("digits-run"))

model = vitscope.load(run.folder / "best.pth")
images = vitscope.load_split(model.data, "test")
predictions = vitscope.predict(model, images)
accuracy = vitscope.evaluate(predictions).accuracy
low, high = accuracy.interval
print(f"test accuracy {accuracy.value:.1%}, 95 % interval {low:.1%} to {high:.1%}")

with vitscope.capture(model, heads="mean") as tape:
    model(model.prepare([images.image(0)]))
maps = vitscope.rollout(tape.attention())
save_figure(draw_attention_maps(maps, images.array[0, 0]), Path("rollout"))

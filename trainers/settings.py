"""Every setting of a training run, typed and checked before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Settings", "parse_settings", "read_settings", "settings_text"]

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the settings: unknown keys and not-finite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSettings(Section):
    """The architecture; an empty option takes the model's own default."""

    name: str = "vit-tiny"
    patch_size: Positive | None = None
    width: Positive | None = None
    depth: Positive | None = None
    heads: Positive | None = None
    mlp_ratio: Annotated[float, Field(gt=0)] | None = None
    pool: Literal["cls", "mean"] | None = None
    dropout: Rate | None = None
    drop_path: Rate | None = None

    def options(self) -> dict[str, Any]:
        """Return the options that were given."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class DataSettings(Section):
    """The images: which, how large, and how they are split."""

    source: str = "digits"
    root: str = ""
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    limit: Positive | None = None
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0)] = 0


class AugmentSettings(Section):
    """What is done to a training image, each image by its own draw."""

    flip: bool | None = None
    crop_padding: Annotated[int, Field(ge=0)] | None = None
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: Rate = 0.0
    translation: Rate = 0.0


class OptimizerSettings(Section):
    """The optimizer; norms, biases, position and class tokens are never decayed."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    momentum: Rate = 0.9


class ScheduleSettings(Section):
    """Linear warm-up, then a cosine down to `final_lr` times the peak."""

    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    final_lr: Annotated[float, Field(ge=0, le=1)] = 0.01


class Settings(Section):
    """A whole training run."""

    preset: str = ""
    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    augment: AugmentSettings = AugmentSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    epochs: Positive = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    label_smoothing: Rate = 0.1
    clip_grad: Annotated[float, Field(gt=0)] | None = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


def parse_settings(values: Mapping[str, Any]) -> Settings:
    """Check nested values and make the settings of them.

    Raises:
        UsageError: A key is unknown or a value is not of its type or range; the first of them is named.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{place or 'settings'}: {first['msg'].lower()}, got {first['input']!r}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings, unchecked.

    Raises:
        UsageError: The file is missing, is not YAML, or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"cannot read settings from {path}: {reason}") from error
    if not isinstance(values, dict):
        raise UsageError(f"expected settings as `key: value` lines in {path}, got {type(values).__name__}")
    return values


def settings_text(settings: Settings) -> str:
    """Return the settings as YAML, every key with its value."""
    return yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)

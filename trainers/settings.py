"""Every setting of a training run, typed and checked before any work."""

from __future__ import annotations

from difflib import get_close_matches
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "Settings",
    "parse_settings",
    "read_settings",
    "setting_types",
    "settings_text",
    "unknown_setting",
]

Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the settings: unknown keys and not-finite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - unchecked yet
        """Refuse `true` where a number is expected, which Python would take for 1."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind is not bool and bool not in get_args(kind):
            raise PydanticCustomError("switch", "input should not be true or false")
        return value


class ModelSettings(Section):
    """The architecture; an empty option takes the model's own default."""

    name: str = "vit-tiny"
    patch_size: Positive | None = None
    width: Positive | None = None
    depth: Annotated[int, Field(ge=1, le=1000)] | None = None
    heads: Positive | None = None
    mlp_ratio: Annotated[float, Field(gt=0)] | None = None
    pool: Literal["cls", "mean"] | None = None
    dropout: Rate | None = None
    drop_path: Rate | None = None

    def options(self) -> dict[str, Any]:
        """Return the options that were given."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class DataSettings(Section):
    """The images: which, how large, and how they are split; `limit` counts training and validation images."""

    source: str = "digits"
    root: str = ""
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    limit: Annotated[int, Field(ge=3)] | None = None
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
    select_by: Literal["accuracy", "loss"] = "accuracy"
    clip_grad: Annotated[float, Field(gt=0)] | None = 1.0
    threads: Positive | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


def setting_types(section: type[BaseModel] = Settings, prefix: str = "") -> dict[str, Any]:
    """Return the type of every setting by its dotted name, such as `optimizer.lr`."""
    types: dict[str, Any] = {}
    for name, item in section.model_fields.items():
        kind = item.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            types |= setting_types(kind, f"{prefix}{name}.")
        else:
            types[f"{prefix}{name}"] = kind
    return types


def unknown_setting(key: str) -> UsageError:
    """Return the error for a name that is no setting; the nearest that is one is suggested."""
    keys = setting_types()
    ends = {known.rpartition(".")[2]: known for known in keys}
    near = get_close_matches(key, keys, n=1) or [
        ends[end] for end in get_close_matches(key.rpartition(".")[2], ends, n=1)
    ]
    hint = f"did you mean {near[0]}?" if near else "the config.yaml of any run lists them all"
    return UsageError(f"unknown setting {key!r}", hint=hint)


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
        if first["type"] == "extra_forbidden":
            raise unknown_setting(place) from error
        shown = shorten(repr(first["input"]), 80, placeholder=" …")
        raise UsageError(f"{place or 'settings'}: {first['msg'].lower()}, got {shown}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings, unchecked.

    Raises:
        UsageError: The file is missing, is not YAML, or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"cannot read settings from {path}: {reason}") from error
    if not isinstance(values, dict):
        raise UsageError(f"expected settings as `key: value` lines in {path}, got {type(values).__name__}")
    return values


def settings_text(settings: Settings) -> str:
    """Return the settings as YAML, every key with its value."""
    return yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)

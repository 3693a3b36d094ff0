"""The sections of a run's settings: every value with its type and its range."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

__all__ = [
    "AugmentSettings",
    "DataSettings",
    "DistillSettings",
    "MaskingSettings",
    "ModelSettings",
    "OptimizerSettings",
    "ScheduleSettings",
    "Settings",
    "StartSettings",
]

Rate = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
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
    attention_dropout: Rate | None = None
    drop_path: Rate | None = None

    def options(self) -> dict[str, Any]:
        """Return the options that were given."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class StartSettings(Section):
    """The weights that training starts from.

    `weights` is empty for fresh ones, `hub` for those that a model of timm or torchvision is published with,
    else a file: weights of the named model, or a checkpoint of vitscope, whose classes come first in the new
    head and keep their outputs.
    """

    weights: str = ""
    train: Literal["all", "head"] = "all"


class DataSettings(Section):
    """The images: which, how large, and how they are split; `limit` counts training and validation images."""

    source: str = "digits"
    root: str = ""
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    limit: Annotated[int, Field(ge=3)] | None = None
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0, le=256)] = 0


class AugmentSettings(Section):
    """What is done to a training image, each image by its own draw.

    `resized_crop` is the smallest share of the area that is cut out. `policy` draws `operations` operations
    of strength `magnitude` (RandAugment), one of any strength (TrivialAugmentWide), or one of AutoAugment's
    policies for CIFAR-10. `mixup` and `cutmix` are the parameters of their Beta distributions, 0 for none;
    `mix_off` is the share of the epochs, at the end, in which images are not mixed.
    """

    flip: bool | None = None
    crop_padding: Annotated[int, Field(ge=0)] | None = None
    crop_fill: Literal["zeros", "reflect"] = "zeros"
    resized_crop: Annotated[float, Field(gt=0, le=1)] | None = None
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: Rate = 0.0
    translation: Rate = 0.0
    policy: Literal["none", "randaugment", "trivialaugment", "autoaugment"] = "none"
    operations: Annotated[int, Field(ge=1, le=10)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    brightness: NotNegative = 0.0
    contrast: NotNegative = 0.0
    saturation: NotNegative = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    erasing: Share = 0.0
    cutout: Annotated[int, Field(ge=0)] = 0
    mixup: NotNegative = 0.0
    cutmix: NotNegative = 0.0
    mix_probability: Share = 1.0
    mix_off: Share = 0.0


class OptimizerSettings(Section):
    """The optimizer; norms, biases, position and class tokens are never decayed.

    With `layer_decay` below 1 the learning rate falls by that factor from each layer to the one before it.
    Muon moves the matrices and filters between the first layer and the head, AdamW the rest.
    """

    name: Literal["adamw", "sgd", "muon"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: NotNegative = 0.05
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    momentum: Rate = 0.9
    muon_lr: Annotated[float, Field(gt=0)] = 0.02
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0


class ScheduleSettings(Section):
    """Linear warm-up, then a cosine down to `final_lr` times the peak; or one cycle, or warm restarts.

    The first period of `restarts` lasts `period_epochs`, each next one `period_factor` times as long.
    """

    name: Literal["cosine", "onecycle", "restarts"] = "cosine"
    warmup_epochs: NotNegative = 0.0
    final_lr: Share = 0.01
    period_epochs: Annotated[float, Field(gt=0)] = 10.0
    period_factor: Annotated[float, Field(ge=1)] = 2.0


class DistillSettings(Section):
    """Learning from another model: the checkpoint, the share of its loss, and the temperature of both."""

    teacher: str = ""
    share: Share = 0.5
    temperature: Annotated[float, Field(gt=0)] = 2.0


class MaskingSettings(Section):
    """Masked images: the share of the patches that is hidden, and whose pixels are predicted."""

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.6


class Settings(Section):
    """A whole training run.

    `objective` is what is learned: the `classes` of the images, or the pixels of hidden patches, which needs
    no labels and gives weights to start another run from.
    """

    preset: str = ""
    objective: Literal["classes", "masked-images"] = "classes"
    model: ModelSettings = ModelSettings()
    start: StartSettings = StartSettings()
    data: DataSettings = DataSettings()
    augment: AugmentSettings = AugmentSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    distill: DistillSettings = DistillSettings()
    masking: MaskingSettings = MaskingSettings()
    epochs: Positive = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    accumulate: Positive = 1
    label_smoothing: Rate = 0.1
    ema: Rate = 0.0
    select_by: Literal["accuracy", "loss", "last"] = "accuracy"
    clip_grad: Annotated[float, Field(gt=0)] | None = 1.0
    threads: Positive | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool | None = None
    channels_last: bool | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

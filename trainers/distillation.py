"""Learning from another model: the softened answers of a teacher to the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from vitscope.errors import InputError
from vitscope.inference.classifier import Classifier, load

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.trainers.preparation import Prepared
    from vitscope.trainers.sections import DistillSettings

__all__ = ["Teacher", "find_teacher"]


class Teacher:
    """A trained classifier that is asked about every training image, as augmented and mixed.

    The loss of a student with logits z beside the teacher's t at temperature T, for each image:
    T² · KL(softmax(t/T) ‖ softmax(z/T)).

    *Source*: Hinton, Vinyals & Dean 2015, arXiv 1503.02531, section 2; the same view of an image for both:
    Beyer et al. 2022, arXiv 2106.05237.

    Args:
        classifier: The teacher; it is put into evaluation mode and its gradients are off.
        prepared: What the student is trained on; its classes choose and order the teacher's.
        temperature: T.

    Raises:
        InputError: The teacher does not know a class of the data, or takes images of other channels.
    """

    def __init__(self, classifier: Classifier, prepared: Prepared, *, temperature: float) -> None:
        own, theirs = prepared.preprocessing, classifier.preprocessing
        lacking = [name for name in prepared.train.classes if name not in classifier.classes]
        if lacking:
            raise InputError(
                f"the teacher does not know {len(lacking)} of {len(prepared.train.classes)} classes, "
                f"first {lacking[0]!r}",
                hint="take a teacher that was trained on these classes",
            )
        if own.channels != theirs.channels:
            raise InputError(
                f"the teacher sees {theirs.channels} channels, the student {own.channels}",
                hint="take a teacher that was trained on the same images",
            )
        self.classifier = classifier.eval().requires_grad_(False)
        self.temperature = temperature
        self.order = [classifier.classes.index(name) for name in prepared.train.classes]
        self.size = None if own.size == theirs.size else theirs.size
        # The student's input in the teacher's scale: (x·σ + μ − μ')/σ'.
        scale = torch.tensor(theirs.std)
        self.gain = (torch.tensor(own.std) / scale)[:, None, None]
        self.shift = ((torch.tensor(own.mean) - torch.tensor(theirs.mean)) / scale)[:, None, None]

    def to(self, device: torch.device) -> Teacher:
        """Move it, in place."""
        self.classifier.to(device)
        self.gain, self.shift = self.gain.to(device), self.shift.to(device)
        return self

    def logits(self, inputs: Tensor) -> Tensor:
        """Return its logits `[image, class of the data]` for the student's input."""
        images = inputs * self.gain + self.shift
        if self.size is not None:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True, align_corners=False)
        with torch.no_grad():
            logits: Tensor = self.classifier(images)
        return logits.float()[:, self.order]

    def losses(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return T² · KL of each image, `[image]`, from two sets of logits `[image, class]`."""
        soft = F.log_softmax(teacher / self.temperature, dim=1)
        own = F.log_softmax(student.float() / self.temperature, dim=1)
        divergence = F.kl_div(own, soft, reduction="none", log_target=True).sum(dim=1)
        return self.temperature**2 * divergence


def find_teacher(settings: DistillSettings, prepared: Prepared) -> Teacher | None:
    """Load the teacher that the settings name; None where they name none.

    Raises:
        VitscopeError: It cannot be loaded, or does not fit the data.
    """
    if not settings.teacher:
        return None
    return Teacher(load(settings.teacher), prepared, temperature=settings.temperature)

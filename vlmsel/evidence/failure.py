"""Failures as values: what could not be measured or used."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Failure:
    """Failure to measure or use something.

    An image, a cell (no image_id), a task or a model (the other's name is empty).

    Attributes:
        kind: of the measurement; empty for a model or task that could not be used at all.
        place: worker and node it failed on, where there are several.
    """

    model: str
    pretrained: str
    task: str
    image_id: str | None
    reason: str
    kind: str = ""
    place: str = field(default="", compare=False)

    def __str__(self) -> str:
        model = f"{self.model}/{self.pretrained}" if self.model else ""
        where = " on ".join(part for part in (model, self.task) if part)
        if self.kind:
            where = f"{self.kind} of {where}"
        image = f", image {self.image_id}" if self.image_id else ""
        place = f" (on {self.place})" if self.place else ""
        return f"{where}{image}: {self.reason}{place}"

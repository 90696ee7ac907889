"""A whole experiment as checked data: what is stitched, on which images, how it is trained and evaluated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, field_validator, model_validator

from snnet.errors import did_you_mean
from snnet.init import CalibrationSettings, RecalibrationSettings
from snnet.recipes.recipe_file import METHODS, check_recipe, packaged, read_recipe_file
from snnet.recipes.sections import (
    AugmentSettings,
    DataSettings,
    EvaluationSettings,
    FirstSettings,
    HeadSettings,
    NetworkSettings,
    SamplerSettings,
    TaskSettings,
)
from snnet.searching import SearchSettings
from snnet.space import SpaceSettings
from snnet.tasks import Task, build_task
from snnet.training import LossSettings, OptimSettings, RunSettings
from snnet.utils import Settings, write_text

_TASK_OF = {"label": "classification", "mask": "segmentation", "depth": "depth"}


class Recipe(Settings):
    """One experiment, complete: read from YAML by `Recipe.load`, built by `build_parts`, run by `Run`.

    No section may bear the name of a command of `snnet`.
    """

    recipe: str | None = Field(
        None, description="default, windows or paper: a method, whose settings lie under those of the file"
    )

    network: NetworkSettings
    routes: SearchSettings | None = Field(
        None, description="which routes of the anchors are searched for; null takes those of the network's windows"
    )
    task: TaskSettings = TaskSettings()
    head: HeadSettings | None = Field(None, description="a head over feature maps; null for the anchors' own heads")
    data: DataSettings = DataSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    recalibration: RecalibrationSettings = RecalibrationSettings()
    augment: AugmentSettings = AugmentSettings()
    first: FirstSettings = FirstSettings()
    loss: LossSettings = LossSettings()
    optim: OptimSettings = OptimSettings()
    sampler: SamplerSettings = SamplerSettings()
    run: RunSettings
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("recipe")
    @classmethod
    def _known_method(cls, name: str | None) -> str | None:
        known = packaged(METHODS)
        if name is not None and name not in known:
            raise ValueError(f"there is no method {name!r}; accepted: {', '.join(known)}.{did_you_mean(name, known)}")
        return name

    @model_validator(mode="after")
    def _one_way_to_routes(self) -> Self:
        if self.routes is None:
            return self
        if self.network.saved:
            raise ValueError("a saved network has its stitches; leave routes out, `snnet search` gives it others")
        changed = self.network.model_dump(include=set(SpaceSettings.model_fields), exclude_defaults=True)
        if windows := [f"network.{name}" for name in changed]:
            raise ValueError(
                f"a space that is searched has no windows; leave {' and '.join(windows)} out, or routes, which comes "
                "with recipe: default and not with recipe: windows"
            )
        return self

    @model_validator(mode="after")
    def _head_for_dense(self) -> Self:
        kind = self.data.target.kind
        if self.network.saved and self.head:
            raise ValueError("a saved network has its head; leave head out")
        if kind != "label" and self.head is None and not self.network.saved:
            raise ValueError(f"data.target is {kind}, and anchors give one answer for an image: give a head")
        return self

    @property
    def built_task(self) -> Task:
        """What the network is for: what the recipe says, or else what the targets are.

        Raises:
            RecipeError: If there is no such task.
        """
        return build_task(self.task.name or _TASK_OF[self.data.target.kind], **self.task.options)

    @classmethod
    def load(cls, source: str | Path, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read a recipe from a YAML file, or by the name of one in the package.

        Args:
            source: Path, or a name such as `embedded_vit`.
            overrides: Dotted key -> value, such as `{"optim.lr": 1e-4}`; they win over the file. So does a method,
                `{"recipe": "paper"}`, in what it says; other overrides win over it.

        Raises:
            RecipeError: If the file is missing or not YAML, or with all faults in it at once.
        """
        text, origin = read_recipe_file(source)
        return check_recipe(cls, text, overrides or {}, origin)

    def with_run(self, **settings: Any) -> Self:
        """Return the recipe with other settings of its run; steps take the place of epochs."""
        lasting = {"epochs": None} if "steps" in settings else {}
        return self.model_copy(update={"run": RunSettings(**{**self.run.model_dump(), **lasting, **settings})})

    def to_yaml(self) -> str:
        """Return all settings as YAML, the defaults written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def save(self, path: str | Path) -> Path:
        """Write all settings as YAML, whole or not at all."""
        return write_text(path, self.to_yaml())

"""From YAML and overrides to a recipe, with every fault told at once."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from snnet.errors import RecipeError, did_you_mean
from snnet.training import REMOVED_SETTINGS, removed_fault
from snnet.utils import Settings, checked_settings, flatten

R = TypeVar("R", bound=Settings)
METHODS = "methods"
_SUFFIXES = (".yaml", ".yml")
_SAVED = (
    "anchors",
    "pretrained",
    "image_size",
    "new_heads",
    "kernel_size",
    "stride",
    "nearest",
    "direction",
    "stages",
)
# Settings that exclude each other: an override of one takes the place of the others.
_ALTERNATIVES = {
    "run.epochs": ("run.steps",),
    "run.steps": ("run.epochs",),
    "network.anchors": ("network.saved",),
    # A saved network brings its anchors, its space and its head.
    "network.saved": ("head", *(f"network.{name}" for name in _SAVED)),
}
# YAML 1.1 wants a point and a sign in such a number.
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def packaged(folder: str = "") -> dict[str, Path]:
    """Return the recipes that come with the package, or the `METHODS`, which lie under a recipe: name -> file."""
    return {path.stem: path for path in sorted(Path(str(files("snnet.recipes") / folder)).glob("*.yaml"))}


def read_recipe_file(source: str | Path) -> tuple[dict[str, Any], str]:
    """Return the content of a recipe file, or of the package's recipe of that name, and where it came from.

    Raises:
        RecipeError: If there is no such file, or it is not a mapping in YAML.
    """
    path = Path(source).expanduser()
    if not path.is_file():
        known = packaged()
        name = path.stem if path.suffix in _SUFFIXES else str(source)
        if name not in known or len(path.parts) > 1:
            raise RecipeError(
                f"There is no recipe {str(source)!r}: it is no YAML file, and the package has "
                f"{', '.join(known)}.{did_you_mean(path.stem, known)}"
            )
        path = known[name]
    return _read_yaml(path), str(path)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        twice = list(_given_twice(yaml.compose(text, yaml.SafeLoader)))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not a text file ({error.reason}); a recipe is YAML in UTF-8.") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {_one_line(error)}") from None
    except RecursionError:
        raise RecipeError(f"{path} is nested deeper than any recipe; a setting lies in a section.") from None
    if twice:
        raise RecipeError(f"{path} says something twice, and one of each would be dropped: {'; '.join(twice)}.")
    if not isinstance(content, dict):
        what = "is empty" if content is None else f"holds a {type(content).__name__}, not a mapping of sections"
        raise RecipeError(f"{path} {what}; `snnet train --settings` lists what a recipe may say.")
    return content


def _given_twice(node: yaml.Node | None) -> Iterator[str]:
    """Yield each key that stands twice in one mapping, with its lines; YAML's own reader takes the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, list[int]] = {}
    for key, value in node.value:
        lines.setdefault(str(key.value), []).append(key.start_mark.line + 1)
        yield from _given_twice(value)
    yield from (f"{key} in lines {' and '.join(map(str, at))}" for key, at in lines.items() if len(at) > 1)


def check_recipe(model: type[R], content: Mapping[str, Any], overrides: Mapping[str, Any], origin: str) -> R:
    """Return the checked recipe.

    Args:
        model: What the recipe must look like.
        content: What the file says.
        overrides: Dotted key -> value, and `recipe` -> the name of a method; text within `options`, whose types no
            model knows, is read as YAML. One of `run.epochs` and `run.steps` replaces the other, as do
            `network.anchors` and `network.saved`; the latter also replaces the settings of the space.
        origin: What to call the source in the message.

    Raises:
        RecipeError: With all unknown keys, wrong types and contradictions.
    """
    merged, faults = _merged(_with_method(content, overrides), overrides)
    for name in REMOVED_SETTINGS:
        section, _, key = name.partition(".")
        place = merged.get(section)
        if isinstance(place, dict) and key in place:
            faults += filter(None, [removed_fault(name, place.pop(key))])
    return checked_settings(model, merged, origin, faults)


def differences(one: BaseModel, other: BaseModel) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ: dotted name -> both values."""
    first, second = (flatten(recipe.model_dump(mode="json")) for recipe in (one, other))
    names = dict.fromkeys([*first, *second])
    return {n: (first.get(n), second.get(n)) for n in names if first.get(n) != second.get(n)}


def _with_method(content: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a file over the method that it names; one named by an override wins over the file, as overrides do."""
    chosen = overrides.get("recipe", content.get("recipe"))
    methods = packaged(METHODS)
    # A name that there is not is told with all other faults.
    method = _read_yaml(methods[chosen]) if isinstance(chosen, str) and chosen in methods else {}
    network = content.get("network")
    if "network.saved" in overrides or (isinstance(network, Mapping) and network.get("saved")):
        # It has its stitches.
        method.pop("routes", None)
        method["network"] = {name: value for name, value in method.get("network", {}).items() if name not in _SAVED}
    if "network.saved" in overrides:
        content = {name: section for name, section in content.items() if name not in ("routes", "head")}
    return lay_over(content, method) if "recipe" in overrides else lay_over(method, content)


def lay_over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which what `upper` says wins, section by section.

    `options` belong to the `name` beside them, and are not taken over for another name.
    """
    merged = dict(lower)
    if upper.get("name", lower.get("name")) != lower.get("name"):
        merged.pop("options", None)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = lay_over(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _merged(content: Mapping[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    merged: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in content.items()}
    faults = []
    sampler = merged.get("sampler")
    if isinstance(sampler, dict) and overrides.get("sampler.name", sampler.get("name")) != sampler.get("name"):
        sampler.pop("options", None)
    for dotted, given in overrides.items():
        *sections, key = dotted.split(".")
        value = given
        if "options" in (*sections, key):
            try:
                value = _read_value(given)
            except yaml.YAMLError as error:
                faults.append(f"{dotted}: {given!r} is not YAML: {_one_line(error)}")
                continue
        place = merged
        for section in sections:
            inner = place.get(section)
            inner = {} if inner is None else inner
            if not isinstance(inner, dict):
                faults.append(f"{dotted}: {section} is {inner!r}, not a section")
                break
            place[section] = dict(inner)
            place = place[section]
        else:
            place[key] = value
            for other in _ALTERNATIVES.get(dotted, ()) if value is not None else ():
                if other not in overrides:
                    section, _, name = other.rpartition(".")
                    (merged.get(section, {}) if section else merged).pop(name, None)
    return merged, faults


def _read_value(text: Any) -> Any:
    if isinstance(text, list):
        return [_read_value(part) for part in text]
    if not isinstance(text, str):
        return text
    return float(text) if _EXPONENT.fullmatch(text.strip()) else yaml.safe_load(text)


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or error}{where}."

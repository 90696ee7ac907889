"""Settings that are declared once: checked in Python, read from a section of a recipe, listed for people."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from inspect import signature
from reprlib import Repr
from typing import Any, ClassVar, ParamSpec, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from snnet.errors import RecipeError, SNNetError, did_you_mean
from snnet.utils.amounts import counted

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlong = 60
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 20
S = TypeVar("S", bound="Settings")
P = ParamSpec("P")
R = TypeVar("R")


class Settings(BaseModel):
    """What one part of the work takes: frozen, every name known; also a section of a recipe.

    Raises:
        RecipeError: With all unknown names, wrong values and contradictions at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)
    refused_with: ClassVar[type[SNNetError]] = RecipeError

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            _refuse(type(self), type(self).__name__, setting_faults(type(self), error))

    # Without this mark pydantic calls `__init__` for a section within another too, and where a fault lies is lost.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @field_validator("*", mode="before")
    @classmethod
    def _lists_as_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept `a,b` for a list, and refuse yes and no where a number is meant."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = (annotation, *get_args(annotation))
        if isinstance(value, bool) and bool not in kinds:
            raise ValueError("yes and no are no value here")
        if isinstance(value, str) and any(get_origin(kind) is tuple for kind in kinds):
            return [part.strip() for part in value.split(",")]
        return value

    @field_validator("*")
    @classmethod
    def _of_machine_size(cls, value: Any) -> Any:
        """Refuse what no counter of torch or numpy holds."""
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and abs(number) >= 2**63:
                raise ValueError(f"a number of {counted(len(str(abs(number))), 'digit')} is beyond what can be counted")
        return value


def checked_settings(kind: type[S], content: Mapping[str, Any], origin: str, faults: Sequence[str] = ()) -> S:
    """Return settings made of plain values, such as those of a file.

    Args:
        kind: Which settings.
        content: Name -> value; sections are mappings.
        origin: What to call the source in the message.
        faults: What was found wrong with it before.

    Raises:
        RecipeError: With all faults.
    """
    found = list(faults)
    try:
        settings = kind.model_validate(content)
    except ValidationError as error:
        found += setting_faults(kind, error)
    if found:
        _refuse(kind, origin, found)
    return settings


def setting_names(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield every setting as dotted name, description, and default."""
    for name, field in kind.model_fields.items():
        inner = _section_in(field.annotation)
        if inner is not None:
            yield from setting_names(inner, f"{prefix}{name}.")
        else:
            default = None if field.is_required() else field.get_default()
            yield prefix + name, field.description or "", default


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as dotted name -> value; an empty section is a value."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat |= flatten(item, f"{prefix}{name}.") if isinstance(item, Mapping) and item else {prefix + name: item}
    return flat


def setting_faults(kind: type[BaseModel], error: ValidationError) -> list[str]:
    """Return what pydantic refused, each as the setting's name, what is accepted, and the value."""
    return [_fault(kind, detail) for detail in error.errors()]


def known_keywords(refused_with: type[SNNetError]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that refuses keywords that a function does not have, with the nearest that it has."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = list(_keywords(function))

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if unknown := [name for name in kwargs if name not in known]:
                hints = "".join(f"\n  {name}: unknown keyword.{_hint(name, known)}" for name in unknown)
                raise refused_with(f"{function.__name__}() has {_count(len(unknown))}:{hints}")
            return function(*args, **kwargs)

        return call

    return decorate


def _keywords(function: Callable[..., Any]) -> Iterator[str]:
    """Yield the names of a function's keywords, those of an unpacked `TypedDict` included."""
    for name, given in signature(function).parameters.items():
        if given.kind == given.VAR_KEYWORD:
            for names in get_args(given.annotation):
                yield from names.__annotations__
        elif given.kind != given.VAR_POSITIONAL:
            yield name


def _refuse(kind: type[Settings], origin: str, faults: Sequence[str]) -> None:
    raise kind.refused_with("\n".join([f"{origin} has {_count(len(faults))}:", *(f"  {fault}" for fault in faults)]))


def _count(faults: int) -> str:
    return "a fault" if faults == 1 else counted(faults, "fault")


def _fault(kind: type[BaseModel], detail: ErrorDetails) -> str:
    place = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown key.{_near_key(kind, [str(part) for part in detail['loc']])}"
    if detail["type"] == "missing":
        return f"{place}: missing"
    if detail["type"] in ("model_type", "model_attributes_type"):
        return f"{place}: must be a section of settings, got {_SHORT.repr(detail['input'])}"
    near = ""
    if detail["type"] == "literal_error":
        near = did_you_mean(str(detail["input"]), re.findall("'(.*?)'", detail["ctx"]["expected"]))
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    # A contradiction within a section is about several values; it and our other own messages name what they are about.
    own = detail["type"] == "value_error"
    is_told = own and (isinstance(detail["input"], dict) or repr(detail["input"]) in message)
    given = "" if is_told else f", got {_SHORT.repr(detail['input'])}"
    told = f"{message}{given}.{near}" if near else f"{message}{given}"
    return f"{place}: {told}" if place else told


def _near_key(kind: type[BaseModel], place: list[str]) -> str:
    section: type[BaseModel] | None = kind
    for part in place[:-1]:
        field = section.model_fields.get(part) if section else None
        section = _section_in(field.annotation) if field else None
    elsewhere = [name for name, *_ in setting_names(kind) if name.rpartition(".")[2] == place[-1]]
    return _hint(place[-1], list(section.model_fields) if section else [], elsewhere)


def _hint(name: str, known: Sequence[str], elsewhere: Sequence[str] = ()) -> str:
    if near := did_you_mean(name, known):
        return near
    if elsewhere:
        return f" Did you mean {' or '.join(map(repr, elsewhere))}?"
    return f" Known here: {', '.join(known)}."


def _section_in(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None

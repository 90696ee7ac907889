# Tested in tests/network/test_restore.py.
"""What files hold, as typed models: a fault names the file, the field, what is accepted and the value."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from snnet.errors import SNNetError
from snnet.utils.settings import setting_faults

_SHOWN = 5
_DIGEST = "digest"


class Record(BaseModel):
    """What a file, or a part of one, holds. Nothing is converted; names that later versions add are left alone."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


R = TypeVar("R", bound=BaseModel)


def _in_range(value: int | float) -> int | float:
    try:
        float(value)
    except OverflowError:
        raise ValueError("a number below 1e308 is accepted") from None
    return value


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path or ":" in path:
        raise ValueError("a path inside of the folder is accepted")
    return path


Number = Annotated[int | float, AfterValidator(_in_range)]
"""A number of JSON that a float can hold; whole numbers stay whole."""
InnerPath = Annotated[str, AfterValidator(_inside)]
"""A relative path, with forward slashes, that does not leave its folder."""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file shall hold together with a digest of it, by which `read_record` finds any change."""
    return {**content, _DIGEST: _digest(content)}


def is_intact(content: Mapping[str, Any]) -> bool:
    """Tell whether content is as it was sealed; version 0.1.0 did not seal."""
    rest = {name: value for name, value in content.items() if name != _DIGEST}
    return len(rest) == len(content) or content[_DIGEST] == _digest(rest)


def read_record(
    path: Path, kind: type[R], *, what: str, format: str, version: int, error: type[SNNetError], verify: bool = True
) -> R:
    """Read the JSON file that says what lies in its folder, such as a network or a bundle.

    Args:
        path: The file.
        kind: What it holds.
        what: What it describes, for messages.
        format: What it must name as its `format`.
        version: The newest `version` that is understood.
        error: Raised if the file is missing, damaged, of another format or newer.
        verify: Refuse what was changed since it was written, too.
    """
    if not path.is_file():
        raise error(f"There is no {what} at {path.parent}: {path.name} is missing.")
    content = parsed_json(path.read_bytes(), str(path), error, f"copy or write the {what} again.")
    if not isinstance(content, dict) or content.get("format") != format:
        raise error(f"{path} does not describe a {what}: 'format' is not {format!r}.")
    found = content.get("version", 0)
    if isinstance(found, int) and found > version:
        raise error(f"{path} has version {found}; this snnet reads up to {version}: update it.")
    record = checked_record(kind, content, str(path), error, f"copy or write the {what} again.")
    if verify and not is_intact(content):
        raise error(
            f"{path} is damaged or was changed: its digest is another; copy or write the {what} again, or remove "
            f"{_DIGEST!r} from it to take it as it is."
        )
    return record


def parsed_json(text: str | bytes, origin: str, error: type[SNNetError], mend: str) -> Any:
    """Return what JSON says, whatever bytes it is made of.

    Raises:
        SNNetError: Of the kind `error`, if it is no JSON or nested too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise error(f"{origin} is damaged, it is not JSON ({fault}); {mend}") from None


def checked_record(kind: type[R], content: Mapping[str, Any], origin: str, error: type[SNNetError], mend: str) -> R:
    """Return content as its typed model.

    Args:
        kind: The model.
        content: As JSON or torch gives it.
        origin: What to call the source in the message.
        error: Raised with the first faults, each with field, what is accepted, and the value.
        mend: What to do about it.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as fault:
        faults = [text.removesuffix(".") for text in setting_faults(kind, fault)]  # what follows goes on
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise error(f"{origin} is damaged: {'; '.join(faults[:_SHOWN])}{more}; {mend}") from None
    except UnicodeEncodeError as fault:  # JSON can write what no text holds, half of a pair such as \\ud800
        raise error(f"{origin} is damaged: {fault.object!r} is no text; {mend}") from None


def _digest(content: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

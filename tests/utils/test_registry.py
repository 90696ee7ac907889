from importlib.metadata import EntryPoint

import pytest

from snnet.errors import RecipeError
from snnet.utils import Registry
from snnet.utils import registry as rooms


def test_names_are_found_and_unknown_ones_refused_with_near_names() -> None:
    registry: Registry[int] = Registry("sampler")
    registry.register("uniform")(1)
    registry.register("anchor-share")(2)
    assert registry.get("uniform") == 1
    assert registry.names() == ("uniform", "anchor-share") and len(registry) == 2
    with pytest.raises(RecipeError, match=r"Unknown sampler 'unifrom'; accepted: uniform, anchor-share. Did you mean"):
        registry.get("unifrom")


def test_a_name_is_given_once() -> None:
    registry: Registry[object] = Registry("sampler")
    entry = object()
    assert registry.register("one")(entry) is registry.register("one")(entry)
    with pytest.raises(RecipeError, match="already a sampler named 'one'"):
        registry.register("one")(object())


def test_a_package_that_does_not_load_is_named_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "no_such_package.models", "snnet.models")
    monkeypatch.setattr(rooms, "entry_points", lambda group: [point] if group == "snnet.models" else [])
    registry: Registry[int] = Registry("model", group="snnet.models")
    for _ in range(2):
        with pytest.raises(RecipeError, match=r"no_such_package\.models cannot be loaded.*'mine' of snnet\.models"):
            registry.names()

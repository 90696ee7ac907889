from inspect import signature
from typing import Literal

import pytest
from pydantic import Field, model_validator

import snnet
from snnet.errors import RecipeError, SNNetError, SpaceError
from snnet.network import FamilySettings
from snnet.network.build import Windows
from snnet.space import SpaceSettings, StitchSpace
from snnet.utils import Settings, checked_settings, known_keywords, setting_names


class Inner(Settings):
    rate: float = Field(0.1, gt=0, description="how fast")
    kind: Literal["hard", "soft"] = "hard"
    sizes: tuple[int, ...] = ()


class Outer(Settings):
    count: int = Field(3, ge=1, description="how many")
    inner: Inner | None = None

    @model_validator(mode="after")
    def _odd(self) -> "Outer":
        if self.count == 4:
            raise ValueError("four is no count")
        return self


def test_all_faults_at_once_with_near_names() -> None:
    with pytest.raises(RecipeError) as caught:
        Inner(rate=-1, kind="sofd", sise=3)
    assert str(caught.value).splitlines() == [
        "Inner has 3 faults:",
        "  rate: should be greater than 0, got -1",
        "  kind: should be 'hard' or 'soft', got 'sofd'. Did you mean 'soft'?",
        "  sise: unknown key. Did you mean 'sizes'?",
    ]
    with pytest.raises(RecipeError, match=r"^Outer has a fault:\n  four is no count$"):
        Outer(count=4)


def test_a_fault_within_a_section_is_named_by_its_place() -> None:
    content = {"count": True, "inner": {"rat": 2, "sizes": "1,x"}}
    with pytest.raises(RecipeError) as caught:
        checked_settings(Outer, content, "a file", ["before: wrong"])
    assert str(caught.value).splitlines() == [
        "a file has 4 faults:",
        "  before: wrong",
        "  count: yes and no are no value here, got True",
        "  inner.sizes.1: should be a valid integer, unable to parse string as an integer, got 'x'",
        "  inner.rat: unknown key. Did you mean 'rate'?",
    ]
    with pytest.raises(RecipeError, match="inner: must be a section of settings, got 3"):
        Outer(inner=3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 2**70}, "count: a number of 22 digits is beyond"),
        ({"count": "1" * 400}, "count: a number of 400 digits is beyond"),
        ({"inner": {"rate": float("inf")}}, "inner.rate: should be a finite number"),
        ({"inner": {"sizes": "1,-9223372036854775808"}}, "inner.sizes: a number of 19 digits"),
    ],
)
def test_numbers_out_of_any_sense_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Outer(**values)
    assert Outer(count=2**63 - 1).count == 2**63 - 1


def test_settings_are_values() -> None:
    one = checked_settings(Outer, {"inner": {"sizes": "1, 2"}}, "a file")
    assert one == Outer(inner=Inner(sizes=(1, 2))) and hash(one) == hash(Outer(inner=Inner(sizes=[1, 2])))
    with pytest.raises(ValueError, match="frozen"):
        one.count = 2  # type: ignore[misc]


def test_they_are_listed() -> None:
    assert list(setting_names(Outer))[:2] == [("count", "how many", 3), ("inner.rate", "how fast", 0.1)]


@pytest.mark.parametrize(
    ("function", "given"), [(StitchSpace.build, ([[4], [4]],)), (snnet.stitch, ("nobody", "none"))]
)
def test_a_mistyped_keyword_is_refused_before_any_work(function, given) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        SpaceError, match=r"2 faults:\n  kernel_sise: .*'kernel_size'\?\n  zzz: .* Known here: .*, stages\."
    ):
        function(*given, kernel_sise=2, zzz=1)
    with pytest.raises(SpaceError, match="stride: should be greater than or equal to 1"):
        function(*given, stride=0)


def test_keywords_have_the_defaults_of_the_settings() -> None:
    for function, settings in ((StitchSpace.build, SpaceSettings()), (snnet.stitch, FamilySettings())):
        defaults = {name: value.default for name, value in signature(function).parameters.items()}
        own = {name: value for name, value in dict(settings).items() if name != "lora_rank"}  # that is set afterwards
        if "windows" in defaults:  # handed on as they are given
            own = {name: value for name, value in own.items() if name not in Windows.__annotations__}
            assert set(Windows.__annotations__) == set(SpaceSettings.model_fields)
        assert {name: defaults[name] for name in own} == own


def test_known_keywords_pass() -> None:
    @known_keywords(SNNetError)
    def add(one: int, *more: int, two: int = 2) -> int:
        return one + two + sum(more)

    assert add(1, 5, two=3) == 9 and add.__name__ == "add"
    with pytest.raises(SNNetError, match=r"add\(\) has a fault:\n  more: unknown keyword. Known here: one, two"):
        add(1, more=3)  # type: ignore[call-arg]

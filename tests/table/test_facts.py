from snnet.table import describe_profile
from snnet.table.facts import current_facts


def test_types_of_torch_become_precisions() -> None:
    before = {
        "profile": {"dtype": "bfloat16", "network_dtype": "float32", "engine": "eager", "threads": 2},
        "evaluation": {"precision": "float32 with bf16", "network": "float32", "data": {"images": 3}},
        "anchors": ["a", "b"],
    }
    assert current_facts(before) == {
        "profile": {"precision": "bf16", "network_precision": "fp32", "engine": "eager", "threads": 2},
        "evaluation": {"precision": "fp32 with bf16", "network": "float32", "data": {"images": 3}},
        "anchors": ["a", "b"],
    }
    assert before["profile"]["dtype"] == "bfloat16"


def test_what_is_of_today_stays() -> None:
    facts = {"profile": {"precision": "fp16", "network_precision": "float64x"}, "evaluation": None, "date": "today"}
    assert current_facts(facts) == facts
    assert current_facts({}) == {}


def test_the_origin_is_said_in_one_line() -> None:
    machine = {"cpu": "Here 9000", "cores": 4}
    facts = {"machine": machine, "engine": "eager", "device": "cpu", "precision": "fp32", "threads": 1}
    said = describe_profile({"profile": {**facts, "date": "2026-11-21T10:00:00"}})
    assert said == "measured on Here 9000, 4 cores: eager on cpu, fp32, 1 thread, 2026-11-21"
    assert describe_profile({}) is None

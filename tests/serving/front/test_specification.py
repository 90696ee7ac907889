"""The application against the Open Inference Protocol's own description, which is not part of this project.

It is `specification/protocol/open_inference_rest.yaml` of github.com/kserve/open-inference-protocol. Give its path:

    OPEN_INFERENCE_SPEC=open_inference_rest.yaml python -m pytest tests/serving/front/test_specification.py
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

from snnet.serving import build_app
from tests.serving.front.service import FakeService, request

pytest.importorskip("fastapi")
schemathesis = pytest.importorskip("schemathesis", reason="the package schemathesis is not installed")
if not (PLACE := os.environ.get("OPEN_INFERENCE_SPEC")):
    pytest.skip("OPEN_INFERENCE_SPEC names no file of the protocol's description", allow_module_level=True)

GIVEN = {"MODEL_NAME": "tiny", "MODEL_VERSION": "3"}


def described() -> Any:
    # The description writes ${MODEL_NAME} for what OpenAPI writes {MODEL_NAME}.
    told = yaml.safe_load(Path(PLACE).read_text(encoding="utf-8").replace("${", "{"))
    for operations in told["paths"].values():
        for parameter in operations.get("parameters", ()):
            # What is served, and anything.
            parameter["schema"] = {"anyOf": [{"enum": [GIVEN[parameter["name"]]]}, {"type": "string"}]}
    schema = schemathesis.openapi.from_dict(told)
    schema.app = build_app(FakeService())
    return schema


SCHEMA = described()
# A model that is not there is 404, a method 405, and so on: more codes than the description has.
CHECKS = [getattr(schemathesis.checks, name) for name in ("response_schema_conformance", "content_type_conformance")]


@SCHEMA.parametrize()
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_it_says(case: Any) -> None:
    answer = case.call_and_validate(checks=CHECKS)
    assert answer.status_code in (503, 504) or answer.status_code < 500
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"] and isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("operation", [one.ok() for one in SCHEMA.get_all_operations()], ids=lambda one: one.label)
def test_all_that_it_has_is_answered(operation: Any) -> None:
    body = {"body": request(), "media_type": "application/json"} if operation.method.upper() == "POST" else {}
    answer = operation.Case(path_parameters=GIVEN, **body).call(allow_redirects=False)
    assert answer.status_code == 200
    operation.validate_response(answer)

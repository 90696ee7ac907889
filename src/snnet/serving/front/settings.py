# Tested in tests/serving/front/test_app.py.
"""What the front of a service takes, and from whom, as settings."""

from pydantic import Field, SecretStr

from snnet.utils import Settings

_MIB = 2**20


class FrontSettings(Settings):
    """How much a caller may send, and who may."""

    body_bytes: int = Field(64 * _MIB, ge=1024, lt=2**31, description="bytes of a request with tensors, at most")
    bodies_bytes: int = Field(1024 * _MIB, ge=1024, description="bytes of all requests that arrive just now, at most")
    json_bytes: int = Field(8 * _MIB, ge=1024, description="bytes of JSON in such a request, at most")
    body_seconds: float = Field(30.0, gt=0, description="seconds in which the body of a request must have arrived")
    picture_bytes: int = Field(16 * _MIB, ge=1024, description="bytes of a request with a picture, at most")
    picture_pixels: int = Field(50_000_000, ge=1, description="pixels of a picture, at most")
    decoding_threads: int = Field(2, ge=1, le=256, description="pictures that are decoded at the same time")
    decoding_waiting: int = Field(64, ge=0, description="pictures that wait to be decoded, at most")
    grpc_calls: int = Field(1000, ge=1, description="calls over gRPC that are under way at the same time, at most")
    token: SecretStr | None = Field(None, min_length=1, description="what callers must send as bearer token, if any")


USUAL_FRONT = FrontSettings()
"""The defaults."""

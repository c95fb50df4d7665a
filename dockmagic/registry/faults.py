"""Requests that are refused, and how a registry says so. Sources: distribution-spec "Error Codes", and Docker's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

Headers = tuple[tuple[str, str], ...]
JSON: Final = "application/json"
STATUSES: Final[Mapping[str, HTTPStatus]] = {
    "BLOB_UNKNOWN": HTTPStatus.NOT_FOUND,
    "BLOB_UPLOAD_INVALID": HTTPStatus.BAD_REQUEST,
    "BLOB_UPLOAD_UNKNOWN": HTTPStatus.NOT_FOUND,
    "DIGEST_INVALID": HTTPStatus.BAD_REQUEST,
    "MANIFEST_BLOB_UNKNOWN": HTTPStatus.NOT_FOUND,
    "MANIFEST_INVALID": HTTPStatus.BAD_REQUEST,
    "MANIFEST_UNKNOWN": HTTPStatus.NOT_FOUND,
    "NAME_INVALID": HTTPStatus.BAD_REQUEST,
    "NAME_UNKNOWN": HTTPStatus.NOT_FOUND,
    "PAGINATION_NUMBER_INVALID": HTTPStatus.BAD_REQUEST,
    "SIZE_INVALID": HTTPStatus.BAD_REQUEST,
    "TAG_INVALID": HTTPStatus.BAD_REQUEST,
    "UNAUTHORIZED": HTTPStatus.UNAUTHORIZED,
    "UNKNOWN": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNSUPPORTED": HTTPStatus.METHOD_NOT_ALLOWED,
}


class Fault(Exception):
    """A request that is refused with this code; the status is the code's unless another one says it better."""

    def __init__(self, code: str, message: str, *, status: HTTPStatus | None = None, headers: Headers = ()) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or STATUSES[code]
        self.headers = headers

    def body(self) -> bytes:
        """The JSON document that tells of it."""
        error = {"code": self.code, "message": str(self), "detail": {}}
        return json.dumps({"errors": [error]}).encode()

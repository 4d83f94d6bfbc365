"""Requests and answers of the server, apart from any web framework."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

__all__ = ["Answer", "Query", "Refusal", "etag", "json_answer", "text_answer"]

_LONGEST_QUERY = 8192


class Refusal(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    status : int
        HTTP status.
    text : str
        What is said.
    """

    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


@dataclass
class Answer:
    """What is sent back.

    Attributes
    ----------
    body : bytes
    media_type : str
    status : int
    headers : dict of str -> str
    """

    body: bytes
    media_type: str = "application/octet-stream"
    status: int = 200
    headers: dict = field(default_factory=dict)


def text_answer(text, status=200):
    """A line of plain text."""
    return Answer((text + "\n").encode(), "text/plain; charset=utf-8", status)


class Query:
    """Parameters of a request, checked as they are read.

    Parameters
    ----------
    text : str
        After the question mark.
    headers : mapping of str -> str
        Header lines, lower-case names.
    """

    def __init__(self, text="", headers=None):
        if len(text) > _LONGEST_QUERY:
            raise Refusal(414, "the request is too long")
        self.text = text
        self.headers = headers or {}
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100)
        except ValueError as error:
            raise Refusal(400, f"cannot read the query: {error}") from None
        self._values = {}
        for key, value in pairs:
            self._values.setdefault(key, value)

    def flag(self, name):
        """Whether a word is in the query, with any value."""
        return name in self._values

    def word(self, name, default=None):
        """Value as it stands."""
        return self._values.get(name, default)

    def number(self, name, default=None, low=-math.inf, high=math.inf):
        """A finite number within bounds; the default where there is none."""
        if name not in self._values:
            return default
        text = self._values[name].strip()
        try:
            value = float(text)
        except ValueError:
            raise Refusal(400, f"{name}={text[:40]} is not a number") from None
        if not (math.isfinite(value) and low <= value <= high):
            raise Refusal(400, f"{name}={text[:40]} is out of range")
        return value

    def whole(self, name, default=None, low=1, high=None):
        """A whole number of at least `low`; larger ones than `high` become `high`."""
        value = self.number(name, default)
        if value is None or value is default:
            return default if high is None or default is None else min(default, high)
        if value != int(value) or value < low:
            raise Refusal(400, f"{name}={self._values[name][:40]} is not a whole number of {low} or more")
        return int(value) if high is None else min(int(value), high)

    def box(self):
        """ralo, rahi, declo, dechi; refused if one is missing."""
        values = [self.number(name) for name in ("ralo", "rahi", "declo", "dechi")]
        if None in values:
            raise Refusal(400, "Need ralo,rahi,declo,dechi keywords")
        return values


def etag(*parts):
    """Value of the header ETag for an answer that depends on these."""
    return '"' + hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:24] + '"'


def json_answer(value, **headers):
    """JSON, in which NaN is not allowed."""
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return Answer(body, "application/json", headers=headers)

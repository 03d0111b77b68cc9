"""What the API says about itself: the OpenAPI document, and the same as a page for people, served by us alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from portal.deps import PublicAsk, public_pages
from portal.errors import N_
from portal.routes.api.shapes import Problem

pages = public_pages()

ABOUT = N_(
    "Accounts come in from the CRM; journeys, surveys, flags and figures go out. Every call carries a token; errors are "
    "problem+json (RFC 9457); lists are read page by page; a POST or PUT with an Idempotency-Key can be repeated for 24 "
    "hours without doing its work twice."
)
KEY_HEADER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "The same key and body give the same result for 24 hours; the same key with another body is 409.",
}
PROBLEMS = {
    "401": N_("No token, or one that doesn't work."),
    "403": N_("The token may only read."),
    "404": N_("There is no such thing."),
    "409": N_("It doesn't go together with how things are, or the Idempotency-Key was used for another call."),
    "413": N_("The body is larger than a megabyte."),
    "415": N_("The body is no JSON by its Content-Type."),
    "422": N_("Something in it is missing or wrong; `errors` says what."),
    "429": N_("Too many calls; Retry-After says when to go on."),
}


class Api(FastAPI):
    """The API's application, whose document tells what each call really answers."""

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, problem = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
    schemas |= problem["$defs"]
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    document["info"]["description"] = ABOUT
    document["servers"] = [{"url": "/api/v1"}]
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            call["tags"] = [path.split("/")[1]]
            if method != "get":
                call.setdefault("parameters", []).append(KEY_HEADER)
            answers = call["responses"]
            for status, words in PROBLEMS.items():
                if method == "get" and status in ("409", "413", "415"):
                    continue
                answers[status] = {
                    "description": words,
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            _only_what_happens(call, path)
    return document


def _only_what_happens(call: dict[str, Any], path: str) -> None:
    """A list or a figure without anything in its path always exists."""
    if "{" not in path:
        call["responses"].pop("404", None)


# The page


class Line(NamedTuple):
    """One field or parameter, as a row of a table."""

    name: str
    kind: str
    required: bool
    about: str


class Call(NamedTuple):
    method: str
    path: str
    about: str
    parameters: tuple[Line, ...]
    body: tuple[Line, ...]
    answer: tuple[Line, ...]
    statuses: tuple[str, ...]


@lru_cache(maxsize=4)
def _calls(api: Api) -> dict[str, list[Call]]:
    document = api.openapi()
    schemas = document["components"]["schemas"]
    found: dict[str, list[Call]] = defaultdict(list)
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            found[call["tags"][0]].append(_call(method, path, call, schemas))
    return dict(found)


def _call(method: str, path: str, call: Mapping[str, Any], schemas: Mapping[str, Any]) -> Call:
    good = next(answer for status, answer in call["responses"].items() if status.startswith("2"))
    return Call(
        method=method.upper(),
        path=f"/api/v1{path}",
        about=call.get("description", ""),
        parameters=tuple(
            Line(p["name"], _kind(p["schema"], schemas), p["required"], p.get("description", ""))
            for p in call.get("parameters", ())
        ),
        body=tuple(_lines(_content(call.get("requestBody", {})), schemas)),
        answer=tuple(_lines(_content(good), schemas)),
        statuses=tuple(sorted(call["responses"])),
    )


def _content(part: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _lines(schema: Mapping[str, Any], schemas: Mapping[str, Any], prefix: str = "") -> Iterator[Line]:
    """The fields of an object, those of objects within it as `contacts[].email`."""
    schema = _plain(schema, schemas)
    if schema.get("type") == "array":
        yield from _lines(schema["items"], schemas, f"{prefix.removesuffix('.')}[].")
        return
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield Line(prefix + name, _kind(field, schemas), name in required, field.get("description", ""))
        yield from _lines(field, schemas, f"{prefix}{name}.")


def _plain(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Behind references, and behind "or null"."""
    while True:
        choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
        elif choices:
            schema = choices[0]
        else:
            return schema


def _kind(field: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    plain = _plain(field, schemas)
    kind = str(plain.get("format", plain.get("type", "object")))
    if "enum" in plain:
        kind = " | ".join(plain["enum"])
    elif kind == "array":
        kind = f"[{_kind(plain['items'], schemas)}]"
    nullable = any(choice.get("type") == "null" for choice in field.get("anyOf", ()))
    return f"{kind} | null" if nullable else kind


@pages.get("/api/docs")
def docs(ask: PublicAsk) -> Response:
    """Every call on one page."""
    calls = _calls(ask.request.app.state.api)
    return ask.page("public/api_docs.html", calls=calls, about=ABOUT, problems=PROBLEMS)

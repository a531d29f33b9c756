"""The tables that the wire is made of are complete: errors, endpoints, routes."""

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import get_type_hints

import pytest

from entrepot.distribution.app import ENDPOINTS
from entrepot.distribution.errors import TABLE, UNEXPECTED, error_response, wire_error
from entrepot.distribution.paths import Kind, parse_path
from entrepot.http.routing import ROUTES, HostKind, Wire, find_route
from entrepot.model import errors

# distribution-spec 1.1 and 1.2-dev: "Endpoints" and "Error Codes"; the catalog and three codes are the field's.
SPECIFIED = {
    Kind.BASE: {"GET", "HEAD"},
    Kind.CATALOG: {"GET", "HEAD"},
    Kind.TAGS: {"GET", "HEAD"},
    Kind.REFERRERS: {"GET", "HEAD"},
    Kind.MANIFEST: {"GET", "HEAD", "PUT", "DELETE"},
    Kind.BLOB: {"GET", "HEAD", "DELETE"},
    Kind.UPLOADS: {"POST"},
    Kind.UPLOAD: {"GET", "HEAD", "PATCH", "PUT", "DELETE"},
}
CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID",
    "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
    "TAG_INVALID", "PAGINATION_NUMBER_INVALID", "UNAVAILABLE",
}  # fmt: skip


def leaves() -> Iterator[type[errors.RegistryError]]:
    """Every error that is raised: classes without subclasses."""
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.RegistryError) and not kind.__subclasses__():
            yield kind


def example(kind: type[errors.RegistryError]) -> errors.RegistryError:
    """One of that class, with facts of the right types."""
    values = {int: 5, float: 5.0, str: "text", tuple[str, ...]: ("a", "b")}
    hints = get_type_hints(kind)
    made = {f.name: values[hints[f.name]] for f in fields(kind)}
    return kind(**made)


@pytest.mark.parametrize(
    "kind", sorted(leaves(), key=lambda k: k.__name__), ids=lambda k: k.__name__
)
def test_every_error_has_a_code_and_words(kind):
    error = example(kind)
    row = wire_error(error)
    if kind is errors.SchemaTooNew:  # ends the program at its start; no request ever meets it
        assert row.status == 503
    assert row is not UNEXPECTED
    assert row.code in CODES
    assert 400 <= row.status < 600
    answer = error_response(error)
    assert answer.status == row.status
    assert row.code.encode() in answer.body


def test_every_row_of_the_error_table_is_of_use():
    kinds = {kind for kind in vars(errors).values() if inspect.isclass(kind)}
    assert set(TABLE) <= kinds
    for row in TABLE.values():
        assert row.code in CODES


def test_every_endpoint_of_the_specification_is_served_and_no_other():
    assert {kind: set(methods) for kind, methods in ENDPOINTS.items()} == SPECIFIED


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/v2/", Kind.BASE),
        (b"/v2/_catalog", Kind.CATALOG),
        (b"/v2/a/b/tags/list", Kind.TAGS),
        (b"/v2/a/b/referrers/sha256:00", Kind.REFERRERS),
        (b"/v2/a/b/manifests/tag", Kind.MANIFEST),
        (b"/v2/a/b/blobs/sha256:00", Kind.BLOB),
        (b"/v2/a/b/blobs/uploads/", Kind.UPLOADS),
        (b"/v2/a/b/blobs/uploads", Kind.UPLOADS),
        (b"/v2/a/b/blobs/uploads/" + b"0" * 32, Kind.UPLOAD),
        (b"/v2/a/tags/list/tags/list", Kind.TAGS),
        (b"/v2/a/blobs/uploads/manifests/x", Kind.MANIFEST),
    ],
)
def test_paths_are_read_from_the_right(path, kind):
    found = parse_path(path)
    assert found is not None
    assert found.kind is kind


REGISTRY = {HostKind.INSTANCE, HostKind.DEFAULT}
APIS = {HostKind.DEFAULT, HostKind.SWR}


@pytest.mark.parametrize(
    ("path", "wire", "hosts"),
    [
        (b"/v2/", Wire.DISTRIBUTION, REGISTRY),
        (b"/v2/a/b/tags/list", Wire.DISTRIBUTION, REGISTRY),
        (b"/service/token", Wire.TOKEN, REGISTRY),
        (b"/healthz", Wire.HEALTH, set(HostKind)),
        (b"/readyz", Wire.HEALTH, set(HostKind)),
        (b"/metrics", None, set()),
        (b"/v3/manage/repos", Wire.SWR, APIS),
        (b"/v3/auth/tokens", Wire.IDENTITY, APIS),
        (b"/v3/projects", Wire.IDENTITY, APIS),
        (b"/v3.0/OS-USER/users/x", Wire.IDENTITY, APIS),
        (b"/v3", None, set()),
        (b"/api/v1/", Wire.NATIVE, {HostKind.DEFAULT}),
        (b"/api/v1/tenants", Wire.NATIVE, {HostKind.DEFAULT}),
        (b"/api/v1", None, set()),
        (b"/api/v2/", None, set()),
        (b"", None, set()),
        (b"//v2/", None, set()),
        (b"/V2/", None, set()),
        (b"/v2x", None, set()),
        (b"/service/token/", None, set()),
        (b"/v2/../healthz", Wire.DISTRIBUTION, REGISTRY),
    ],
)
def test_each_kind_of_host_serves_its_routes_and_no_others(path, wire, hosts):
    for kind in HostKind:
        assert find_route(kind, path) is (wire if kind in hosts else None), kind


@pytest.mark.parametrize(
    ("path", "wires"),
    [
        (
            b"/v2",
            {
                HostKind.INSTANCE: Wire.DISTRIBUTION,
                HostKind.DEFAULT: Wire.SWR,
                HostKind.SWR: Wire.SWR,
            },
        ),
        (
            b"/v2/manage/namespaces",
            {
                HostKind.INSTANCE: Wire.DISTRIBUTION,
                HostKind.DEFAULT: Wire.SWR,
                HostKind.SWR: Wire.SWR,
            },
        ),
        (
            b"/",
            {HostKind.DEFAULT: Wire.ROOT, HostKind.TCR: Wire.TCR, HostKind.SWR: Wire.SWR},
        ),
    ],
)
def test_paths_that_are_each_hosts_own(path, wires):
    assert {k: find_route(k, path) for k in HostKind if find_route(k, path)} == wires


def test_every_wire_has_a_route():
    assert {route.wire for route in ROUTES} == set(Wire)

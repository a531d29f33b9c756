"""Certificates of tenants, and the custom domains of instances that are served with them."""

import asyncio
from dataclasses import replace as copied

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace
from working import work_until

from entrepot.capabilities.access.identities.keys import reseal_secrets
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.instances.certificates import (
    AddCertificate,
    NamedCertificate,
    add_certificate,
    delete_certificate,
    get_certificate,
    list_certificates,
    served_pair,
    served_pairs,
)
from entrepot.capabilities.instances.domains import (
    CreateDomain,
    DeleteDomain,
    create_domain,
    delete_domain,
    list_domains,
    renew_domain,
)
from entrepot.capabilities.instances.editions import edition_named, give_limits
from entrepot.capabilities.instances.instances import InstanceHost, add_host
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.config import Duration
from entrepot.metadata import certificates, epochs, instances, tenants
from entrepot.metadata.schema import audit
from entrepot.metadata.schema import certificates as certificate_rows
from entrepot.model.access import ANONYMOUS
from entrepot.model.certificates import (
    CertificateInvalid,
    CertificateUnknown,
    CertificateUsed,
    DomainStatus,
    HostNotCovered,
)
from entrepot.model.errors import (
    Forbidden,
    InstanceUnknown,
    NameTaken,
    Protected,
    QuotaExceeded,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.identities import HostUnknown
from entrepot.model.tenancy import InstanceKind
from issuing import Authority

pytestmark = pytest.mark.broad

AUTHORITY = Authority.new()


@pytest.fixture
def settings(settings):
    """Jobs begin at once: nothing runs here unless a test lets it."""
    return replace(settings, instances=replace(settings.instances, step_time=Duration.parse("0s")))


@pytest.fixture
def instance(world, cast):
    return found(world, cast.acme, "acme-own", "standard")


def found(world, tenant, name, edition):
    def write(conn):
        region = tenants.list_regions(conn)[0]
        instance = instances.insert_instance(
            conn,
            InstanceKind.DEDICATED,
            name,
            tenant=tenant.id,
            region=region.id,
            edition=edition,
        )
        give_limits(conn, instance.id, edition_named(world.ctx.settings, edition))
        return instance

    return world.ctx.db.write_sync(write)


def add(world, cast, *hosts, caller=None, **how):
    pair = AUTHORITY.issue(*hosts, **how)
    return world.run(
        add_certificate, caller or cast.owner, AddCertificate(cast.acme.id, "one", *pair)
    )


def served(world):
    hosts, _ = world.do(served_pairs(world.ctx, ()))
    return set(hosts)


# -- certificates -----------------------------------------------------------------------------------------------------


def test_a_certificate_tells_its_hosts_and_its_end_and_never_its_key(world, cast):
    chain, key = AUTHORITY.issue("Images.Example.test", "*.example.test", "192.0.2.1 not a host")
    command = AddCertificate(cast.acme.id, "images", chain, key)
    made = world.run(add_certificate, cast.owner, command)

    assert made.hosts == ("images.example.test", "*.example.test")
    assert made.public_id.startswith("cert-")
    assert made.chain == chain
    assert "PRIVATE" not in repr(made) + repr(command)
    assert world.run(list_certificates, cast.owner, cast.acme.id) == [made]
    one = NamedCertificate(cast.acme.id, made.public_id)
    assert world.run(get_certificate, cast.owner, one) == made
    sealed = world.read(lambda conn: conn.execute(sa.select(certificate_rows)).one().key_sealed)
    assert b"PRIVATE" not in bytes(sealed)
    details = world.read(lambda conn: list(conn.scalars(sa.select(audit.c.details))))
    assert not any("PRIVATE" in str(one) for one in details)
    assert world.audited("certificate.add") == [("owner", made.public_id, "done")]


def test_what_cannot_be_served_is_not_kept(world, cast):
    chain, _ = AUTHORITY.issue("a.test")
    _, key = AUTHORITY.issue("a.test")
    with pytest.raises(CertificateInvalid):
        world.run(add_certificate, cast.owner, AddCertificate(cast.acme.id, "one", chain, key))

    assert world.run(list_certificates, cast.owner, cast.acme.id) == []


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb"])
def test_names_of_certificates_are_short_lines(world, cast, name):
    pair = AUTHORITY.issue("a.test")
    with pytest.raises(ValueInvalid):
        world.run(add_certificate, cast.owner, AddCertificate(cast.acme.id, name, *pair))


def test_keys_are_sealed_anew_with_a_new_master_key(world, cast, instance):
    made = add(world, cast, "a.test")
    world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))
    work_until(world, lambda conn: status(conn, "a.test") == "ready")
    before = world.do(served_pair(world.ctx, "a.test"))
    world.ctx.access.sealer = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))

    assert world.run(reseal_secrets, world.operator) >= 2
    assert world.run(reseal_secrets, world.operator) == 0

    world.ctx.access.sealer = Sealer.of(MasterKeys((b"n" * 32,)))
    after = world.do(served_pair(world.ctx, "a.test"))
    assert after == before is not None


# -- domains ----------------------------------------------------------------------------------------------------------


def status(conn, host):
    domain = certificates.find_domain(conn, host)
    return None if domain is None else domain.status


def routed(world):
    return set(world.read(instances.load_hosts).hosts)


def test_a_domain_is_served_when_it_is_ready_and_no_longer(world, cast, instance):
    made = add(world, cast, "*.example.test")
    command = CreateDomain(instance.id, "Images.Example.test.", made.public_id)

    domain = world.run(create_domain, cast.owner, command)
    assert (domain.host, domain.status) == ("images.example.test", "creating")
    assert (domain.certificate, served(world), routed(world)) == (made.public_id, set(), set())
    before = world.epoch(epochs.ROUTING)
    work_until(world, lambda conn: status(conn, domain.host) == "ready")
    assert world.epoch(epochs.ROUTING) > before
    assert served(world) == routed(world) == {"images.example.test"}
    assert [one.status for one in world.run(list_domains, cast.owner, OfInstance(instance.id))] == [
        "ready"
    ]

    ended = world.run(delete_domain, cast.owner, DeleteDomain(instance.id, domain.host))
    assert (ended.status, served(world), routed(world)) == ("deleting", set(), set())
    work_until(world, lambda conn: status(conn, domain.host) is None)
    with pytest.raises(HostUnknown):
        world.run(delete_domain, cast.owner, DeleteDomain(instance.id, domain.host))
    for action in ("domain.create", "domain.delete"):
        assert world.audited(action) == [("owner", "acme-own", "done")]


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("a.b.example.test", HostNotCovered),
        ("example.test", HostNotCovered),
        ("images.other.test", HostNotCovered),
        ("images.entrepot.localhost", ValueInvalid),
        ("entrepot.localhost", ValueInvalid),
        ("localhost", ValueInvalid),
        ("192.0.2.1", ValueInvalid),
        ("images.example.test:5000", ValueInvalid),
        ("*.example.test", ValueInvalid),
        ("", ValueInvalid),
    ],
)
def test_hosts_that_cannot_be_domains(world, cast, instance, host, error):
    made = add(world, cast, "*.example.test", "*.entrepot.localhost", "localhost")
    with pytest.raises(error):
        world.run(create_domain, cast.owner, CreateDomain(instance.id, host, made.public_id))


def test_a_host_belongs_to_one_instance(world, cast, instance):
    made = add(world, cast, "a.test", "b.test")
    other = found(world, cast.acme, "acme-other", "standard")
    world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))
    world.run(add_host, world.operator, InstanceHost("acme-other", "b.test"))

    for where, host in ((other, "a.test"), (instance, "a.test"), (instance, "b.test")):
        with pytest.raises(NameTaken):
            world.run(create_domain, cast.owner, CreateDomain(where.id, host, made.public_id))
    with pytest.raises(HostUnknown):
        world.run(delete_domain, cast.owner, DeleteDomain(other.id, "a.test"))


def test_of_several_who_take_a_host_at_once_one_succeeds(world, cast, instance):
    made = add(world, cast, "a.test")
    command = CreateDomain(instance.id, "a.test", made.public_id)

    async def run():
        running = (create_domain(world.ctx, cast.owner, command) for _ in range(5))
        return await asyncio.gather(*running, return_exceptions=True)

    came = world.do(run())
    assert sorted(type(one).__name__ for one in came) == ["Domain", *["NameTaken"] * 4]


def test_the_edition_limits_domains(world, cast):
    made = add(world, cast, "*.example.test")
    basic, standard = (found(world, cast.acme, f"a-{e}", e) for e in ("basic", "standard"))
    with pytest.raises(QuotaExceeded):
        world.run(
            create_domain, cast.owner, CreateDomain(basic.id, "x.example.test", made.public_id)
        )
    for n in range(5):
        host = f"h{n}.example.test"
        world.run(create_domain, cast.owner, CreateDomain(standard.id, host, made.public_id))
    with pytest.raises(QuotaExceeded):
        world.run(
            create_domain, cast.owner, CreateDomain(standard.id, "x.example.test", made.public_id)
        )


def test_certificates_of_others_and_unknown_ones_do_not_exist(world, cast, instance):
    pair = AUTHORITY.issue("a.test")
    theirs = AddCertificate(cast.stranger.tenant, "theirs", *pair)
    foreign = world.run(add_certificate, cast.stranger, theirs)
    for certificate in (foreign.public_id, "cert-none", ""):
        command = CreateDomain(instance.id, "a.test", certificate)
        with pytest.raises(CertificateUnknown):
            world.run(create_domain, cast.owner, command)
        with pytest.raises(CertificateUnknown):
            world.run(get_certificate, cast.owner, NamedCertificate(cast.acme.id, certificate))
        with pytest.raises(CertificateUnknown):
            world.run(delete_certificate, cast.owner, NamedCertificate(cast.acme.id, certificate))


def test_a_certificate_given_with_a_deletion_must_be_the_hosts(world, cast, instance):
    made, other = add(world, cast, "a.test"), add(world, cast, "a.test")
    world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))
    wrong = DeleteDomain(instance.id, "a.test", other.public_id)
    with pytest.raises(CertificateUnknown):
        world.run(delete_domain, cast.owner, wrong)
    right = copied(wrong, certificate=made.public_id)
    assert world.run(delete_domain, cast.owner, right).status == "deleting"
    assert world.run(delete_domain, cast.owner, right).status == "deleting"
    assert len(world.audited("domain.delete")) == 1


def test_a_domain_is_renewed_without_a_break_and_a_failed_one_is_tried_again(world, cast, instance):
    old, new, other = (add(world, cast, host) for host in ("a.test", "a.test", "b.test"))
    create = CreateDomain(instance.id, "a.test", old.public_id)
    renew = copied(create, certificate=new.public_id)
    with pytest.raises(HostUnknown):
        world.run(renew_domain, cast.owner, renew)
    world.run(create_domain, cast.owner, create)
    work_until(world, lambda conn: status(conn, "a.test") == "ready")
    before = world.do(served_pair(world.ctx, "a.test")), world.epoch(epochs.ROUTING)

    with pytest.raises(HostNotCovered):
        world.run(renew_domain, cast.owner, copied(create, certificate=other.public_id))
    renewed = world.run(renew_domain, cast.owner, renew)

    assert (renewed.status, renewed.certificate) == ("ready", new.public_id)
    assert world.do(served_pair(world.ctx, "a.test")) != before[0]
    assert world.epoch(epochs.ROUTING) > before[1]
    world.run(delete_certificate, cast.owner, NamedCertificate(cast.acme.id, old.public_id))

    fail = sa.text("UPDATE instance_hosts SET status = 'failed'")
    world.ctx.db.write_sync(lambda conn: conn.execute(fail).rowcount)
    assert world.run(renew_domain, cast.owner, renew).status == "creating"
    work_until(world, lambda conn: status(conn, "a.test") == "ready")


def test_a_certificate_in_use_stays_and_its_key_goes_with_it(world, cast, instance):
    made = add(world, cast, "a.test")
    one = NamedCertificate(cast.acme.id, made.public_id)
    world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))
    with pytest.raises(CertificateUsed):
        world.run(delete_certificate, cast.owner, one)
    world.run(delete_domain, cast.owner, DeleteDomain(instance.id, "a.test"))
    work_until(world, lambda conn: status(conn, "a.test") is None)

    world.run(delete_certificate, cast.owner, one)

    row = world.read(lambda conn: conn.execute(sa.select(certificate_rows)).one())
    assert bytes(row.key_sealed) == b""
    assert world.run(list_certificates, cast.owner, cast.acme.id) == []


def test_a_domain_whose_key_cannot_be_opened_fails(world, cast, instance):
    made = add(world, cast, "a.test")
    world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))
    spoil = sa.update(certificate_rows).values(key_sealed=b"\x01" + b"x" * 40)
    world.ctx.db.write_sync(lambda conn: conn.execute(spoil).rowcount)

    work_until(world, lambda conn: status(conn, "a.test") is DomainStatus.FAILED)

    assert served(world) == routed(world) == set()
    assert world.do(served_pair(world.ctx, "a.test")) is None


def test_a_certificate_that_has_ended_makes_no_new_domain(world, cast, instance):
    made = add(world, cast, "a.test")
    past = sa.update(certificate_rows).values(ends_at=1)
    world.ctx.db.write_sync(lambda conn: conn.execute(past).rowcount)
    with pytest.raises(CertificateInvalid):
        world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))


def test_the_shared_instance_has_no_domains_of_tenants(world, cast):
    made = add(world, cast, "a.test")
    for caller in (cast.owner, world.operator):
        command = CreateDomain(world.shared.id, "a.test", made.public_id, cast.acme.id)
        with pytest.raises(Protected):
            world.run(create_domain, caller, command)


# -- who may ----------------------------------------------------------------------------------------------------------

REFUSALS = {"member": Forbidden, "disabled": Unauthenticated, "anonymous": Unauthenticated}


@pytest.mark.parametrize(
    "who",
    ["owner", "admin", "member", "disabled", "stranger", "root", "anonymous", "operator"],
)
def test_who_may_manage_certificates_and_domains(world, cast, instance, who):
    """The tenant's owner and administrators, who runs the deployment where that is the operator; for other tenants nothing is there."""
    caller = {"anonymous": ANONYMOUS, "operator": world.operator}.get(who) or getattr(cast, who)
    acme = cast.acme.id
    made, spare = add(world, cast, "a.test", "b.test"), add(world, cast, "c.test")
    world.run(create_domain, cast.owner, CreateDomain(instance.id, "a.test", made.public_id))
    of_tenant = (
        (list_certificates, acme),
        (get_certificate, NamedCertificate(acme, made.public_id)),
        (add_certificate, AddCertificate(acme, "new", *AUTHORITY.issue("d.test"))),
        (delete_certificate, NamedCertificate(acme, spare.public_id)),
    )
    of_instance = (
        (list_domains, OfInstance(instance.id)),
        (create_domain, CreateDomain(instance.id, "b.test", made.public_id)),
        (renew_domain, CreateDomain(instance.id, "a.test", made.public_id)),
        (delete_domain, DeleteDomain(instance.id, "a.test")),
    )
    for group, absent in ((of_tenant, Forbidden), (of_instance, InstanceUnknown)):
        for use_case, command in group:
            if who in ("owner", "admin", "operator"):
                world.run(use_case, caller, command)
            else:
                with pytest.raises(REFUSALS.get(who, absent)):
                    world.run(use_case, caller, command)


def test_a_key_that_is_too_large_or_none_at_all_is_refused_soon(world, cast):
    chain, _ = AUTHORITY.issue("large.test")
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    broken = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1 + 2, numbers.dmq1 + 2,
        numbers.iqmp, numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)  # fmt: skip
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    wrong = broken.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    for key in (wrong, "x" * 5000):
        with pytest.raises(CertificateInvalid):
            world.run(add_certificate, cast.owner, AddCertificate(cast.acme.id, "one", chain, key))

"""Peers of tenants: what may be kept, who may, and that no secret is to be seen."""

import datetime as dt

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sync_world import SyncWorld

from entrepot.capabilities.access.identities.keys import reseal_secrets
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.sealing import MasterKeys, SealBroken, Sealer
from entrepot.capabilities.policies import peers as peers_room
from entrepot.capabilities.policies.peers import (
    CreatePeer,
    NamedPeer,
    NewSecret,
    change_secret,
    create_peer,
    delete_peer,
    list_peers,
    peer_address,
)
from entrepot.metadata.schema import audit, peers
from entrepot.model.errors import Forbidden, NameInvalid, NameTaken, QuotaExceeded, ValueInvalid
from entrepot.model.syncing import PeerUnknown, PeerUsed

pytestmark = pytest.mark.broad

URL = "https://registry.example.test:8443"
SECRET = "a-secret-of-the-peer"


def authority() -> str:
    """A certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def create(world, caller, name="elsewhere", **said):
    fields = {"url": URL, "username": "acme/robot", "secret": SECRET, **said}
    return world.run(create_peer, caller, CreatePeer(caller.tenant, name, **fields))


def address(world, caller, name="elsewhere"):
    sealer = world.ctx.access.sealer
    return world.read(lambda conn: peer_address(conn, sealer, caller.tenant, name))


def test_a_peer_is_kept_with_its_secret_sealed(world, cast):
    pem = authority()
    made = create(world, cast.owner, authorities=pem)

    assert world.run(list_peers, cast.owner, cast.acme.id) == [made]
    found = address(world, cast.owner)
    assert (found.url, found.username, found.password) == (URL, "acme/robot", SECRET)
    assert found.authorities == pem
    rows = world.read(
        lambda conn: [
            *conn.execute(sa.select(peers)).all(),
            *conn.execute(sa.select(audit.c.details, audit.c.resource)).all(),
        ]
    )
    assert SECRET not in repr(rows) + repr(made) + repr(found)
    assert SECRET not in repr(CreatePeer(cast.acme.id, "x", URL, "y", SECRET))


@pytest.mark.broad
def test_a_peers_secret_is_of_no_use_in_another_row(world, cast):
    create(world, cast.owner, "one")
    create(world, cast.owner, "two", secret="another")
    sealed = sa.select(peers.c.secret_sealed).where(peers.c.name == "one").scalar_subquery()
    world.ctx.db.write_sync(
        lambda conn: conn.execute(
            peers.update().where(peers.c.name == "two").values(secret_sealed=sealed)
        )
    )

    with pytest.raises(SealBroken):
        address(world, cast.owner, "two")


def test_only_administrators_of_the_tenant_keep_peers(world, cast):
    create(world, cast.admin, "by-admin")
    for caller in (cast.member, cast.disabled):
        with pytest.raises(Exception, match=r"lacks|Credentials"):
            create(world, caller, "more")
    foreign = CreatePeer(cast.acme.id, "more", URL)
    with pytest.raises(Forbidden):
        world.run(create_peer, cast.stranger, foreign)
    with pytest.raises(Forbidden):
        world.run(list_peers, cast.stranger, cast.acme.id)
    with pytest.raises(Forbidden):
        world.run(delete_peer, cast.member, NamedPeer(cast.acme.id, "by-admin"))
    world.run(delete_peer, cast.admin, NamedPeer(cast.acme.id, "by-admin"))


@pytest.mark.broad
def test_names_are_a_tenants_own_and_no_local_regions(world, cast):
    create(world, cast.owner)
    create(world, cast.stranger)
    with pytest.raises(NameTaken):
        create(world, cast.owner)
    with pytest.raises(NameTaken):
        create(world, cast.owner, "here-1")
    with pytest.raises(NameInvalid):
        create(world, cast.owner, "No Name")


def test_what_cannot_be_a_peer_is_refused(world, cast):
    for said in [
        {"url": "registry.example.test"},
        {"url": "ftp://registry.example.test"},
        {"url": "https://"},
        {"url": "https://user:pw@registry.example.test"},
        {"url": "https://registry.example.test/path"},
        {"url": "https://registry.example.test?query"},
        {"url": "https://registry.example.test:99999"},
        {"url": "https://registry.example.test:0"},
        {"url": "https://registry example"},
        {"url": "https://" + "a" * 400},
        {"url": "https://127.0.0.1:5000"},
        {"url": "https://[::1]:5000"},
        {"url": "https://[::ffff:127.0.0.1]"},
        {"url": "http://169.254.169.254"},
        {"username": "with:colon"},
        {"username": "line\nbreak"},
        {"username": "u" * 300},
        {"username": ""},
        {"secret": ""},
        {"secret": "line\nbreak"},
        {"secret": "s" * 5000},
        {"authorities": "no PEM"},
        {"authorities": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
    ]:
        with pytest.raises(ValueInvalid) as refused:
            create(world, cast.owner, **said)
        assert SECRET not in str(refused.value)
    assert world.run(list_peers, cast.owner, cast.acme.id) == []


@pytest.mark.broad
def test_an_address_is_told_in_its_one_spelling(world, cast):
    made = create(world, cast.owner, url="https://Registry.Example.test/")
    assert made.url == "https://registry.example.test"
    assert create(world, cast.owner, "six", url="https://[2001:db8::1]:44").url.endswith("]:44")


def test_another_secret_counts_from_now_on(world, cast):
    create(world, cast.owner)
    world.run(change_secret, cast.owner, NewSecret(cast.acme.id, "elsewhere", "newer"))

    assert address(world, cast.owner).password == "newer"
    with pytest.raises(ValueInvalid):
        world.run(change_secret, cast.owner, NewSecret(cast.acme.id, "elsewhere", ""))
    with pytest.raises(PeerUnknown):
        world.run(change_secret, cast.owner, NewSecret(cast.acme.id, "absent", "newer"))


def test_a_peer_that_a_rule_names_stays(world, cast):
    create(world, cast.owner)
    sync = SyncWorld(world, cast)
    sync.push()
    sync.put_rule(cast.owner, region="elsewhere")
    with pytest.raises(PeerUsed):
        world.run(delete_peer, cast.owner, NamedPeer(cast.acme.id, "elsewhere"))

    sync.drop_rule(cast.owner, region="elsewhere")
    world.run(delete_peer, cast.owner, NamedPeer(cast.acme.id, "elsewhere"))

    assert address(world, cast.owner) is None
    with pytest.raises(PeerUnknown):
        world.run(delete_peer, cast.owner, NamedPeer(cast.acme.id, "elsewhere"))
    assert secrets_left(world) == [b""]
    create(world, cast.owner)  # the name is free again


def test_peers_and_rules_go_with_their_tenant(world, cast):
    create(world, cast.stranger)
    tenant = cast.stranger.tenant

    world.run(delete_tenant, world.operator, tenant)

    assert secrets_left(world) == [b""]
    assert address(world, cast.stranger) is None


def secrets_left(world) -> list[bytes]:
    query = sa.select(peers.c.secret_sealed)
    return [bytes(one) for one in world.read(lambda conn: conn.execute(query).scalars().all())]


def test_secrets_are_sealed_anew_with_the_others(world, cast):
    create(world, cast.owner)
    newer = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))
    world.ctx.access.sealer = newer

    assert world.run(reseal_secrets, cast.root) >= 1

    assert all(newer.is_newest(one) for one in secrets_left(world))
    assert address(world, cast.owner).password == SECRET


@pytest.mark.broad
def test_a_rule_of_a_tenant_names_its_own_peers_only(world, cast):
    """Whoever wrote a rule decides whose peers its region may be."""
    create(world, cast.owner, "shared-name", url="https://one.example.test")
    create(world, cast.stranger, "shared-name", url="https://two.example.test")

    assert address(world, cast.owner, "shared-name").url == "https://one.example.test"
    assert address(world, cast.stranger, "shared-name").url == "https://two.example.test"


def test_a_tenant_has_so_many_peers_and_no_more(world, cast, monkeypatch):
    monkeypatch.setattr(peers_room, "MOST_PEERS", 2)
    create(world, cast.owner, "one")
    create(world, cast.owner, "two")
    with pytest.raises(QuotaExceeded):
        create(world, cast.owner, "three")
    create(world, cast.stranger, "one")

    world.run(delete_peer, cast.owner, NamedPeer(cast.acme.id, "one"))
    create(world, cast.owner, "three")

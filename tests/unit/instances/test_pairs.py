"""Certificates as people bring them."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from entrepot.capabilities.instances.pairs import check_pair
from entrepot.http.server import pem_context
from entrepot.model.certificates import Certificate, CertificateInvalid
from issuing import Authority, pem_of

AUTHORITY = Authority.new()
OTHER = Authority.new("others")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_a_pair_is_read_and_can_be_served(make):
    chain, key = AUTHORITY.issue("Images.Example.test", "*.example.test", key=make())
    checked = check_pair(f"a word before\n{chain}", key)

    assert checked.hosts == ("images.example.test", "*.example.test")
    assert checked.pair.pem == chain + key
    assert "PRIVATE" not in repr(checked)
    pem_context(checked.pair.pem)


def issued():
    return AUTHORITY.issue("a.test")


def wrong_order():
    chain, key = AUTHORITY.issue("a.test", with_issuer=False)
    return AUTHORITY.pem + chain, key


def wrong_issuer():
    chain, key = AUTHORITY.issue("a.test", with_issuer=False)
    return chain + OTHER.pem, key


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (AUTHORITY.issue, "host names"),
        (lambda: AUTHORITY.issue("192.0.2.1"), "host names"),
        (lambda: AUTHORITY.issue(*[f"h{n}.test" for n in range(201)]), "host names"),
        (lambda: AUTHORITY.issue("a.test", days=-1), "it ended at 20"),
        (wrong_order, "not issued by the next"),
        (wrong_issuer, "not issued by the next"),
        (lambda: ("", issued()[1]), "no PEM text of certificates"),
        (lambda: (issued()[0][:-100], issued()[1]), "no PEM text of certificates"),
        (lambda: ("\ud800", issued()[1]), "no PEM text of certificates"),
        (lambda: (issued()[0], ""), "no PEM text of a private key"),
        (lambda: (issued()[0], "\ud800"), "no PEM text of a private key"),
        (lambda: (issued()[0], issued()[1]), "not the certificate's"),
        (lambda: (OTHER.pem * 11, issued()[1]), "at most 10 certificates"),
        (lambda: (issued()[0] * 100, issued()[1]), "at most 65536 characters"),
        (lambda: (issued()[0], "x" * 20_000), "at most 4096 characters"),
        (lambda: (issued()[0], pem_of(AUTHORITY.key, b"secret")), "passphrase"),
        (
            lambda: AUTHORITY.issue("a.test", key=rsa.generate_private_key(65537, 1024)),
            "2048 to 4096 bits",
        ),
        (lambda: (issued()[0], pem_of(dsa.generate_private_key(1024))), "neither RSA"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(make, words):
    with pytest.raises(CertificateInvalid, match=words) as told:
        check_pair(*make())

    assert "PRIVATE" not in str(told.value)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("a.test", True),
        ("x.b.test", True),
        ("b.test", False),
        ("y.x.b.test", False),
        ("test", False),
        ("*.b.test", True),
    ],
)
def test_a_star_stands_for_one_label(host, covered):
    certificate = Certificate(1, "cert-1", 1, "one", ("a.test", "*.b.test"), "", 0, 0)
    assert certificate.covers(host) == covered

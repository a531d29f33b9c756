"""Networks as people enter them."""

import pytest

from entrepot.model.errors import ValueInvalid
from entrepot.model.network_access import Cidr


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("1.2.3.4", "1.2.3.4/32"),
        (" 127.0.0.1/24 ", "127.0.0.0/24"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("2001:DB8:0::1/32", "2001:db8::/32"),
        ("::1", "::1/128"),
    ],
)
def test_a_network_is_kept_as_entered_and_compared_by_what_it_stands_for(text, network):
    assert Cidr.parse(text) == Cidr(text.strip(), network)


@pytest.mark.parametrize(
    "text",
    [
        *("", "10.0.0.0/33", "10.0.0", "a.b.c.d", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "8/8"),
        *("10.0.0.0/-1", "010.0.0.1", "1.2.3.4/", "/8", "\u0663.0.0.0/8", "1" * 5000, "::/129"),
        *("1.2.3.4 5.6.7.8", "1.2.3.4,5.6.7.8", "1.2.3.4/8/8", "1.2.3.4/ 8"),
    ],
)
def test_everything_else_is_refused(text):
    with pytest.raises(ValueInvalid):
        Cidr.parse(text)

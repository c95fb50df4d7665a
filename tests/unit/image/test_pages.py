from __future__ import annotations

import pytest

from dockmagic.errors import RegistryError
from dockmagic.image.pages import next_url
from dockmagic.image.token import Endpoint

HOME = Endpoint("https://r.example", "r.example")
MIRROR = Endpoint("https://m.example/cache", "m.example", "docker.io")
HERE = "https://r.example/v2/app/tags/list?n=2"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("", ""),
        ('</v2/app/tags/list?n=2&last=b>; rel="next"', "https://r.example/v2/app/tags/list?n=2&last=b"),
        ("<list?last=b>;rel=next", "https://r.example/v2/app/tags/list?last=b"),
        ('<https://r.example/v2/app/tags/list?last=b>; rel="next"', "https://r.example/v2/app/tags/list?last=b"),
        ('<http://inside:5000/v2/app/tags/list?last=b>; rel="next"', "https://r.example/v2/app/tags/list?last=b"),
        ('</first>; rel="prev", </v2/x?last=b>; title="a, b"; rel="next"', "https://r.example/v2/x?last=b"),
        ('</v2/x>; rel="prev"', ""),
        ("nonsense", ""),
    ],
)
def test_where_the_next_page_is(link: str, expected: str) -> None:
    assert next_url(HERE, link, HOME) == expected


def test_a_mirror_is_told_again_whom_it_stands_in_for() -> None:
    url = "https://m.example/cache/v2/app/tags/list?ns=docker.io"
    assert next_url(url, '<?last=b>; rel="next"', MIRROR) == (
        "https://m.example/cache/v2/app/tags/list?last=b&ns=docker.io"
    )
    assert next_url(url, '<?last=b&ns=docker.io>; rel="next"', MIRROR).count("ns=") == 1


def test_a_link_that_is_no_url_is_an_error() -> None:
    with pytest.raises(RegistryError, match="is no URL"):
        next_url(HERE, '<http://[>; rel="next"', HOME)

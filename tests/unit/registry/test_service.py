from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict, InvalidOption
from dockmagic.image.store import ImageStore
from dockmagic.registry.service import RegistryService
from tests.conformance.registry_asking import Asking


def test_registries_are_known_until_they_stop(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    service = RegistryService(tmp_path / "registry", ImageStore(tmp_path, database))
    with service.serve() as pushed, service.serve(from_store=True) as shared:
        assert list(service.served) == [pushed, shared]
        ask = Asking(pushed.host)
        ask.push_blob("a", b"x")
        with pytest.raises(Conflict, match="another server has it"):
            service.serve()
        other = service.serve(directory=tmp_path / "other")
        ask.close()
    assert list(service.served) == [other]
    with service.serve() as again:
        ask = Asking(again.host)
        assert ask("GET", "/v2/_catalog").json() == {"repositories": ["a"]}
        ask.close()
    service.close()
    service.close()
    assert other.stopped
    database.close()


def test_what_cant_be_served_holds_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    service = RegistryService(tmp_path / "registry", ImageStore(tmp_path, database))
    with pytest.raises(InvalidOption, match="choose one of the two"):
        service.serve(from_store=True, directory=tmp_path)
    with pytest.raises(InvalidOption, match="65535"):
        service.serve(99999)
    with pytest.raises(InvalidOption, match="can't read the passwords"):
        service.serve(auth="/nowhere")
    with service.serve(auth="ada:x"):
        pass
    database.close()

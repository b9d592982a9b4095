"""Tables on RocksDB: the only room that imports rocksdict. Rows are bytes; their meaning lives elsewhere."""

from logkeel.tables.rocks import RocksStore, RocksStoreDirectory

__all__ = ["RocksStore", "RocksStoreDirectory"]

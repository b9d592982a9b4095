"""Payloads on their way: compressed, encrypted, kept elsewhere when they are large."""

from logkeel.payloads.blobs import BlobStore
from logkeel.payloads.chain import JSON_ENCODING, PLAIN, PayloadChain
from logkeel.payloads.keys import read_keys
from logkeel.payloads.sealing import KeyRing, SealingKey

__all__ = ["JSON_ENCODING", "PLAIN", "BlobStore", "KeyRing", "PayloadChain", "SealingKey", "read_keys"]

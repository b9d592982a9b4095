"""The payload chain out of settings, and what a person sees of payloads."""

import base64
from pathlib import Path

import pytest

from logkeel.cli.checks import payloads
from logkeel.cli.payloads import payload_chain
from logkeel.cli.run_inputs import with_readable
from logkeel.cli.settings import Settings, load_settings
from logkeel.client.building import Readable
from logkeel.client.opening import SHOWN_BYTES, opened
from logkeel.errors import BlobStoreUnavailable, ConfigInvalid, InvalidInput
from logkeel.payloads import PLAIN
from logkeel.projection import FieldView, RunView, documents
from logkeel.records import Blob, Payload


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'current = "k"\n[keys]\nk = "{base64.b64encode(bytes(32)).decode()}"\n')
    urls = f"{(tmp_path / 'now').as_uri()}, {(tmp_path / 'before').as_uri()}"
    environment = {"LOGKEEL_PAYLOAD_KEYS": str(keys), "LOGKEEL_BLOB_STORE": urls, "LOGKEEL_BLOB_ABOVE_BYTES": "100"}
    return load_settings({"payload_compression": "zstd"}, environment=environment)


def view_of(**payloads: Payload) -> RunView:
    fields = {name: FieldView(revision=1, payload=payload) for name, payload in payloads.items()}
    return RunView(run_id="r", incarnation="i", workflow="w", version="1", fields=fields)


def test_nothing_is_done_unless_it_is_asked_for() -> None:
    assert payload_chain(Settings()) == PLAIN


def test_the_chain_is_what_the_settings_say(settings: Settings, tmp_path: Path) -> None:
    chain = payload_chain(settings)
    noise = b'"%s"' % bytes(range(35, 127)) * 2
    payload = chain.wrap(Payload(encoding="json", data=noise), "x")
    assert payload.encoding == "json+aesgcm:k"
    assert payload.blob is not None
    assert payload.blob.uri.startswith((tmp_path / "now").as_uri())
    assert chain.unwrap(payload).data == noise


@pytest.mark.parametrize("wrong", [{"blob_above_bytes": 300_000}, {"blob_above_bytes": 0}, {"payload_keys": "none"}])
def test_what_cannot_work_is_refused_before_anything_runs(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid):
        payload_chain(load_settings(wrong, environment={}))
    with pytest.raises(ConfigInvalid):
        load_settings({"payload_compression": "lz4"}, environment={})


def test_the_doctor_sends_a_value_there_and_back(settings: Settings, tmp_path: Path) -> None:
    check = payloads(settings)
    assert (check.verdict, check.detail.startswith("encrypted with k, kept in file://")) == ("ok", True)
    assert payloads(settings).verdict == "ok"
    assert len([path for path in tmp_path.rglob("*") if path.is_file() and path.parent != tmp_path]) == 1
    with pytest.raises(BlobStoreUnavailable):
        payloads(Settings(blob_store="file:///proc/nowhere"))


def test_settings_never_show_what_may_be_secret() -> None:
    settings = Settings(blob_options={"secret": "hush"}, kafka={"sasl.password": "hush"})
    assert "hush" not in repr(settings)
    assert "sasl.password" in repr(settings)


def test_a_person_sees_what_can_be_read_here_and_of_the_rest_what_is_known(settings: Settings) -> None:
    chain = payload_chain(settings)
    text = chain.wrap(Payload(encoding="json", data=b'"hello"'), "x")
    unknown = Payload(encoding="json+aesgcm:other", data=b"123")
    large = Payload(encoding="json", blob=Blob(uri="file:///x", size_bytes=SHOWN_BYTES + 1, sha256="ab"))
    view = opened(view_of(text=text, unknown=unknown, large=large), chain)
    assert {name: documents.value_of(field) for name, field in view.fields.items()} == {
        "text": "hello",
        "unknown": {"encoding": "json+aesgcm:other", "bytes": 3},
        "large": {"encoding": "json", "bytes": SHOWN_BYTES + 1, "uri": "file:///x"},
    }


def test_a_field_that_the_engine_reads_is_named_on_the_command_line() -> None:
    assert with_readable({"deep": True, "text": "x"}, ["deep"]) == {"deep": Readable(True), "text": "x"}
    with pytest.raises(InvalidInput, match="no field of the input: deep"):
        with_readable({"deep": True}, ["dep"])

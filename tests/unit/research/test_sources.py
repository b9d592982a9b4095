"""The example's sources read what is installed here; ranking is deterministic and leaves out what does not match."""

from pathlib import Path

from examples.research.sources import Hit, best_sentences, folder, installed_distributions, rank, standard_library


def test_the_standard_library_has_docstrings_for_a_question_about_archives() -> None:
    best = rank("read and write zip archives", list(standard_library()), limit=5)
    assert any(hit.location.startswith("zipfile") for hit in best)
    assert [hit.score for hit in best] == sorted((hit.score for hit in best), reverse=True)


def test_installed_distributions_are_found_by_their_purpose() -> None:
    best = rank("Apache Kafka client librdkafka", list(installed_distributions()), limit=5)
    assert any(hit.title == "confluent-kafka" for hit in best)


def test_a_folder_is_read_without_its_hidden_parts(tmp_path: Path) -> None:
    (tmp_path / "shown.md").write_text("Keels keep ships upright.\n\nA second paragraph.")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "secret.md").write_text("Keels, hidden.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [hit.location for hit in folder(tmp_path)] == ["shown.md"]


def test_ranking_leaves_out_what_shares_no_word() -> None:
    passages = [
        Hit(source="s", location=str(n), title="", text=text) for n, text in enumerate(["keel and hull", "sky"])
    ]
    assert [hit.location for hit in rank("keel", passages, limit=5)] == ["0"]
    assert rank("keel", [], limit=5) == []


def test_best_sentences_cite_the_hit_they_come_from() -> None:
    hits = [
        Hit(source="s", location="a", title="", text="The weather was fine on that day in the harbour, they said."),
        Hit(source="s", location="b", title="", text="A keel keeps the ship upright even in a heavy storm at sea."),
    ]
    assert best_sentences("what keeps a keel ship upright", hits, limit=1) == [(hits[1].text, 2)]

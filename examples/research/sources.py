"""Where the research agent reads: text that is really there on any machine with Python.

Each source yields passages; ranking is BM25 (Robertson and Zaragoza, 2009) by the library bm25s.
"""

import ast
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import bm25s
from pydantic import BaseModel

PASSAGE_CHARACTERS = 900
"""A passage is cut here: enough for a few sentences, small enough that a citation is precise."""

DOCUMENT_SUFFIXES = {".md", ".rst", ".txt"}


class Hit(BaseModel):
    """A ranked passage. `location` names it for a citation."""

    source: str
    location: str
    title: str
    text: str
    score: float = 0.0


def standard_library() -> Iterator[Hit]:
    """Docstrings of the public modules, classes and functions of the installed standard library."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in {"idlelib", "lib2to3", "test", "antigravity", "this"}:
            continue
        path = next((p for p in (root / f"{name}.py", root / name / "__init__.py") if p.exists()), None)
        if path is not None:
            yield from _docstrings(name, path)


def _docstrings(module: str, path: Path) -> Iterator[Hit]:
    tree = ast.parse(path.read_bytes())
    if text := ast.get_docstring(tree):
        yield from _passages("standard library", module, module, text)
    for item in tree.body:
        if not isinstance(item, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or item.name.startswith("_"):
            continue
        if text := ast.get_docstring(item):
            yield from _passages("standard library", f"{module}.{item.name}", f"{module}.{item.name}", text)


def installed_distributions() -> Iterator[Hit]:
    """Summaries and READMEs of the installed distributions."""
    for distribution in sorted(distributions(), key=lambda each: each.name or ""):
        description = distribution.read_text("METADATA") or ""
        summary = distribution.metadata["Summary"] or ""
        text = f"{summary}\n\n{description}"
        yield from _passages("distributions", f"{distribution.name} {distribution.version}", distribution.name, text)


def folder(path: Path) -> Iterator[Hit]:
    """Documents below `path`, hidden folders left out."""
    for document in sorted(path.rglob("*")):
        parts = document.relative_to(path).parts
        if document.suffix in DOCUMENT_SUFFIXES and not any(part.startswith(".") for part in parts):
            text = document.read_text(errors="replace")
            yield from _passages("corpus", str(document.relative_to(path)), document.stem, text)


def _passages(source: str, location: str, title: str, text: str) -> Iterator[Hit]:
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    passage = ""
    for paragraph in paragraphs:
        if passage and len(passage) + len(paragraph) > PASSAGE_CHARACTERS:
            yield Hit(source=source, location=location, title=title, text=passage)
            passage = ""
        passage = f"{passage}\n{paragraph}".strip()[: 2 * PASSAGE_CHARACTERS]
    if passage:
        yield Hit(source=source, location=location, title=title, text=passage)


def rank(question: str, passages: list[Hit], limit: int) -> list[Hit]:
    """The `limit` best passages for `question`, best first; passages that share no word with it are left out."""
    if not passages:
        return []
    index = bm25s.BM25()
    index.index(_tokens([f"{hit.title}\n{hit.text}" for hit in passages]), show_progress=False)
    found, scores = index.retrieve(_tokens([question]), k=min(limit, len(passages)), show_progress=False)
    ranked = zip(found[0].tolist(), scores[0].tolist(), strict=True)
    return [passages[number].model_copy(update={"score": round(score, 4)}) for number, score in ranked if score > 0]


def _tokens(texts: list[str]) -> list[list[str]]:
    tokens: list[list[str]] = bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    return tokens


def best_sentences(question: str, hits: list[Hit], limit: int) -> list[tuple[str, int]]:
    """(sentence, number of its hit counted from 1), best first, no sentence twice."""
    sentences: dict[str, int] = {}
    for number, hit in enumerate(hits, start=1):
        for sentence in re.split(r"(?<=[.!?])\s+", re.sub(r"\s+", " ", hit.text)):
            if 40 <= len(sentence) <= 320:
                sentences.setdefault(sentence, number)
    candidates = [Hit(source="", location=str(n), title="", text=text) for text, n in sentences.items()]
    return [(hit.text, int(hit.location)) for hit in rank(question, candidates, limit)]

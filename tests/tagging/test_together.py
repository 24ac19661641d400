"""Models for several languages: found, checked, loaded, shared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from consumer.contracts.errors import ModelError
from consumer.contracts.messages import Encoding, PreparedArticle
from consumer.tagging import memory_check, together
from consumer.tagging.model.folder import ModelFolder
from consumer.tagging.model.guard.checksum import Pins
from consumer.tagging.routed import RoutedTagger
from consumer.tagging.tagger import Tagger
from consumer.tagging.together import find_models, load_taggers, split_reference
from tests.support.models.tiny_models import (
    SENTENCES,
    article,
    save_tiny_model,
    tag,
    tiny_folder,
    tiny_tagger,
)

OPTIONS: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "threads": 1,
    "aggregation": "word",
    "window_overlap_tokens": 16,
    "batch_tokens": 512,
    "tokenizer_processes": 0,
}


def cased() -> str:
    """A model's folder, made when a test asks for it first: not while tests are collected."""
    return str(tiny_folder())


def roberta() -> str:
    """Another one's."""
    return str(tiny_folder("roberta"))


def load(models: dict[str, str], **changes: Any) -> Tagger | RoutedTagger:
    return load_taggers(models, **(OPTIONS | changes))


def answers(tagger: Tagger | RoutedTagger, *languages: str) -> list[tuple[object, str]]:
    """The answer to one sentence in each of these languages, and the model that gave it."""
    articles = [
        article(number, SENTENCES[0])._replace(language=language)
        for number, language in enumerate(languages)
    ]
    encodings: Sequence[Encoding] = tagger.encode(articles)
    prepared = [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]
    result = tagger.begin(prepared, lambda: None)()
    names = [model.name for model in result.models]
    return list(zip(result.answers, names, strict=True))


def test_each_language_has_the_answers_of_its_model() -> None:
    tagger = load({"en": cased(), "*": roberta()})
    alone = {name: load({"*": name}) for name in (cased(), roberta())}
    found = answers(tagger, "en", "de", "", "EN-GB")
    expected = {name: answers(one, "")[0] for name, one in alone.items()}
    assert found == [expected[cased()], expected[roberta()], expected[roberta()], expected[cased()]]
    assert expected[cased()] != expected[roberta()]


def test_languages_that_name_one_model_share_it(tmp_path: Path) -> None:
    wanted = find_models({"en": cased(), "de": roberta(), "fr": f"{cased()}/", "it": "bundled"})
    assert [one.languages for one in wanted] == [["en", "fr"], ["de"], ["it"]]
    tagger = load({"en": cased(), "de": roberta(), "fr": f"{cased()}/"})
    assert isinstance(tagger, RoutedTagger)
    assert len(tagger.models) == 2
    link = tmp_path / "of-its-own"
    link.symlink_to(cased())
    assert len(find_models({"en": cased(), "de": str(link)})) == 2, "who links it names it anew"


def test_where_all_name_one_model_there_is_no_routing() -> None:
    assert isinstance(load({"en": cased(), "*": cased()}), Tagger)


def test_all_models_tokenise_in_the_same_processes() -> None:
    plain = load({"en": cased(), "*": roberta()})
    tagger = load({"en": cased(), "*": roberta()}, tokenizer_processes=1)
    assert isinstance(tagger, RoutedTagger)
    assert tagger.encodings_at_once == 3
    assert answers(tagger, "en", "de", "en") == answers(plain, "en", "de", "en")
    pools = {id(one._text_tokenizer.processes) for one in tagger._taggers}  # type: ignore[attr-defined]
    assert len(pools) == 1


# --- what a person wrote


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("dslim/bert-base-NER", ("dslim/bert-base-NER", "")),
        ("dslim/bert-base-NER@abc123", ("dslim/bert-base-NER", "abc123")),
        ("dslim/bert-base-NER@refs/pr/3", ("dslim/bert-base-NER", "refs/pr/3")),
        ("bundled", ("bundled", "")),
        pytest.param("{CASED}", ("{CASED}", ""), id="a folder"),
    ],
)
def test_a_reference_is_a_model_and_perhaps_a_revision(
    reference: str, expected: tuple[str, str]
) -> None:
    reference, name = (text.format(CASED=cased()) for text in (reference, expected[0]))
    assert split_reference(reference) == (name, expected[1])


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "model@home"
    folder.mkdir()
    assert split_reference(str(folder)) == (str(folder), "")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("@main", "model @main: write MODEL@REVISION, or MODEL alone"),
        ("a/b@", "model a/b@: write MODEL@REVISION, or MODEL alone"),
        (
            "bundled@main",
            "model bundled: it ships with nerstream and has no revisions; leave out @main",
        ),
        pytest.param(
            "{CASED}@v2",
            "model {CASED}: it is a local folder and has no revisions; leave out @v2",
            id="a folder with a revision",
        ),
        ("./nowhere", "model ./nowhere: no such folder"),
    ],
)
def test_a_model_that_cannot_be_is_named_with_its_language(reference: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        load({"en": cased(), "de": reference.format(CASED=cased())})
    assert str(caught.value).startswith(f"models de: {said.format(CASED=cased())}")


def test_the_revision_that_was_found_is_the_one_that_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A branch may move between the check and the loading."""
    found = find_models({"en": cased()})[0].folder
    asked: list[tuple[str, str]] = []
    loaded: list[tuple[str, str]] = []

    def find(name: str, revision: str, pins: Pins) -> ModelFolder:
        assert pins == Pins(("a" * 64,), required=True)
        asked.append((name, revision))
        return found

    def load_one(**arguments: Any) -> Tagger:
        loaded.append((arguments["model"], arguments["revision"]))
        assert arguments["model_sha256"] == ("a" * 64,)
        return tiny_tagger()

    monkeypatch.setattr(together, "find_model_folder", find)
    monkeypatch.setattr(together, "load_tagger", load_one)
    load({"en": "a/b@main"}, model_sha256=("a" * 64,), require_pinned_model="on")
    assert asked == [("a/b", "main")]
    assert loaded == [("a/b", found.revision)]


# --- memory


def never(**_: object) -> Tagger:
    raise AssertionError("nothing may be loaded")


def test_memory_for_all_of_them_is_asked_for_before_the_first_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_check, "free_memory", lambda _device: 200 * 2**10)
    monkeypatch.setattr(together, "load_tagger", never)
    with pytest.raises(ModelError) as caught:
        load({"en": cased(), "fr": cased(), "de": "bundled"})
    said = str(caught.value)
    assert "has 0.2 MiB of memory free" in said
    assert f"en, fr: {cased()} takes 0." in said
    assert "de: bundled takes " in said


def test_each_model_counts_once_and_in_the_precision_in_which_it_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = save_tiny_model(tmp_path / "one")
    one = find_models({"en": str(folder)})[0].folder
    needs = {
        dtype: memory_check.need_of("m", one, torch.device("cpu"), dtype)
        for dtype in ("float32", "bfloat16")
    }
    weights = (folder / "model.safetensors").stat().st_size
    need = needs["float32"].staying
    assert weights * 0.9 < need <= weights
    assert needs["float32"].loading == need
    assert (needs["bfloat16"].loading, needs["bfloat16"].staying) == (need // 2, need // 2)
    monkeypatch.setattr(memory_check, "free_memory", lambda _device: need)
    assert isinstance(load({"en": str(folder), "*": str(folder)}), Tagger)
    with pytest.raises(ModelError, match="give the worker more memory"):
        load({"en": str(folder), "*": cased()})


def test_models_are_loaded_one_after_the_other() -> None:
    """What one takes only while it is loaded is free for the next."""
    needs = [memory_check.ModelNeed("a", 40, 10), memory_check.ModelNeed("b", 20, 20)]
    assert memory_check.most_at_once(needs) == 40
    assert memory_check.most_at_once(needs[::-1]) == 60
    assert memory_check.most_at_once([]) == 0


def test_a_system_that_does_not_tell_its_memory_is_no_hindrance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_check, "free_memory", lambda _device: None)
    tagger = load({"en": cased()})
    assert isinstance(tagger, Tagger)
    assert tag(tagger, [article(0, SENTENCES[0])]).answers

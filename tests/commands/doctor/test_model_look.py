from __future__ import annotations

from pathlib import Path

import pytest

from consumer.commands.doctor import model_look
from consumer.commands.doctor.model_look import look_at_model, look_at_shadow, stand_ins
from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from tests.support.models.tiny_models import save_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_look, "MEASURE_S", 0.05)


def test_a_model_is_loaded_and_measured(tiny: Path) -> None:
    facts, tokens = look_at_model(Settings(model=str(tiny), device="cpu"), [])
    assert facts.problem == ""
    assert (facts.name, facts.device, facts.is_of_hub) == ("model", "cpu", False)
    assert facts.how
    assert facts.measured_on == "made-up news"
    # The batch is nearly full.
    assert 10_000 < facts.batch_tokens <= 16_384
    assert facts.batch_s > 0
    assert facts.articles_per_s > 0
    assert facts.tokens_per_s > facts.articles_per_s
    assert tokens == ()


def test_articles_of_the_input_are_measured(tiny: Path) -> None:
    articles = stand_ins()[:3]
    facts, tokens = look_at_model(Settings(model=str(tiny), device="cpu"), articles)
    assert facts.measured_on == "3 articles of the sample"
    assert len(tokens) == 3
    assert min(tokens) > 0


def test_a_model_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    facts, _ = look_at_model(Settings(model=str(tmp_path / "none")), [])
    assert "no such folder" in facts.problem


def test_a_type_that_the_model_does_not_know_is_refused_as_by_run(tiny: Path) -> None:
    with pytest.raises(SettingsError, match=r"types: .*GALAXY"):
        look_at_model(Settings(model=str(tiny), device="cpu", types=("GALAXY",)), [])


def test_a_shadow_that_cannot_be_loaded_is_refused_as_by_run(tiny: Path, tmp_path: Path) -> None:
    look_at_shadow(Settings(model=str(tiny), device="cpu"))
    absent = str(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"shadow_model: .* cannot be loaded"):
        look_at_shadow(Settings(model=str(tiny), device="cpu", shadow_model=absent))


def test_a_model_for_each_language_is_measured(tiny: Path) -> None:
    settings = Settings(models={"de": str(tiny)}, device="cpu", language_field="language")
    facts, _ = look_at_model(settings, [])
    assert facts.problem == ""
    assert facts.articles_per_s > 0
    assert facts.tokens_per_s > 0

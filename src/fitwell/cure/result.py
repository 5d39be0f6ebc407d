"""What a cure hands back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import nn

from fitwell.recipe import Recipe
from fitwell.records import CureRecord, Diagnosis
from fitwell.report.formats import report_of
from fitwell.report.markdown import cure_markdown
from fitwell.report.notebook import cure_card
from fitwell.studies.study import Study


@final
@dataclass(frozen=True, eq=False)
class Cure:
    """What a cure found and made; returned by :func:`fitwell.cure`.

    Args:
        record: Everything that was found, as plain data.
        model: The proven network, in evaluation mode; the untreated one if nothing was proven.
        out: Folder where the files are.
        ensemble: All networks of the arm that ``model`` is from as one: the mean of their
            probabilities for classes, of their outputs for numbers. None if it was not better
            than one of them on validation, on average.
    """

    record: CureRecord
    model: nn.Module
    out: Path
    ensemble: nn.Module | None = None

    @property
    def diagnosis(self) -> Diagnosis:
        """What was wrong with the untreated run."""
        return self.record.diagnosis

    @property
    def recipe(self) -> Recipe:
        """The proven recipe; empty if nothing was proven to help."""
        return Recipe(*self.record.recipe)

    @property
    def study(self) -> Study | None:
        """The proof, or None if nothing was worth one."""
        return Study(self.record.proof) if self.record.proof else None

    def report(self, path: str | Path, *, lang: str = "en") -> Path:
        """Write the report as one HTML page, or as Markdown if the path ends in ``.md``.

        Args:
            path: Where to write it.
            lang: Language to write it in: ``"en"`` or ``"ko"``.

        Returns:
            The path.

        Raises:
            BadInput: If the path ends in anything else, or the language is not known.
        """
        target = Path(path)
        target.write_text(report_of(self.record, target, lang=lang), encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        return cure_card(self.record, str(self.out))

    def _repr_markdown_(self) -> str:
        return cure_markdown(self.record)

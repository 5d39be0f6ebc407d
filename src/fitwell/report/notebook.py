"""What a notebook shows of diagnoses, studies, cures, traces and recipes.

Every card is HTML that carries its own style and no script: it looks right on a light and on a dark
ground, in Jupyter, VS Code and Colab. Figures are pictures of vl-convert; without the extra ``lab``
the tables stand alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from fitwell.errors import MissingExtra
from fitwell.records import (
    CureRecord,
    Diagnosis,
    Finding,
    Quantity,
    RemedySpec,
    StudyRecord,
    Trace,
    chain_text,
)
from fitwell.records.shown import html_of, markdown_of
from fitwell.report.charts import Figure
from fitwell.report.conditions import condition_title, severity_word, unjudged_sentence
from fitwell.report.export import figure_svg
from fitwell.report.figures import cure_figures, diagnosis_figures, study_figures
from fitwell.report.grids import in_order
from fitwell.report.markdown import diagnosis_markdown
from fitwell.report.measures import evidence_title
from fitwell.report.numbers import change, interval, mean, p_value, printable, quantity, score
from fitwell.report.sparklines import gradient_sparks
from fitwell.report.wording import (
    Headline,
    arm_title,
    cure_headline,
    diagnosis_headline,
    metric_title,
    outcome_word,
    remedy_label,
    remedy_sentence,
    study_headline,
)
from fitwell.words import say, say_many, told

INK = {
    "good": "#1767a8",
    "bad": "#b3261e",
    "neutral": "#5b6570",
    "mild": "#6b5800",
    "moderate": "#a34700",
    "severe": "#b3261e",
}
"""Grounds of white letters, dark enough on any page."""
LINE = "1px solid rgba(128,128,128,.35)"
UNJUDGED = 3
"""So many sentences on what could not be judged are shown; of more, their number."""


def study_card(record: StudyRecord) -> str:
    """Return a comparison: its verdict, the arms with intervals, every seed drawn."""
    headline = study_headline(record.task, record.arms)
    drawn = _drawn(lambda: [study_figures(record)["scores"]])
    return _card(record.task.name, headline, _arms(record), *drawn)


def cure_card(record: CureRecord, files: str) -> str:
    """Return a cure: its verdict, what was wrong, the arms, the recipe, and where the files are.

    Args:
        record: Everything that was found.
        files: The folder that holds them.
    """
    drawn = _drawn(lambda: [cure_figures(record)[name] for name in ("losses", "scores")])
    return _card(
        record.task.name,
        cure_headline(record),
        _findings(record.diagnosis),
        _arms(record.proof) if record.proof is not None else Markup(""),
        _remedies(record.recipe),
        *drawn,
        _small(say("The files are in {folder}.", folder=files)),
    )


def recipe_card(recipe: Sequence[RemedySpec]) -> str:
    """Return a recipe: its remedies in order, and what each of them does."""
    title = say_many("recipe of {number} remedy", "recipe of {number} remedies", len(recipe))
    if not recipe:
        return _framed(_title(title), _small(say("The network stays untreated.")))
    return _framed(_title(title), _remedies(recipe))


def _diagnosis_card(diagnosis: Diagnosis) -> str:
    unjudged = [
        say("Not judged: {sentence}", sentence=unjudged_sentence(s)) for s in diagnosis.unjudged
    ]
    more = len(unjudged) - UNJUDGED
    if more > 0:
        rest = say("and {number} more, see .unjudged", number=more)
        unjudged = [*unjudged[:UNJUDGED], rest]
    muted = ", ".join(condition_title(name) for name in diagnosis.muted)
    notes = [say("Muted: {conditions}", conditions=muted)] if muted else []
    headline = diagnosis_headline(diagnosis)
    return _card(
        say("diagnosis"), headline, _findings(diagnosis), *map(_small, (*notes, *unjudged))
    )


def _trace_card(trace: Trace) -> str:
    steps = [row.step for row in trace]
    facts = [
        (say("rows"), f"{len(trace):,}"),
        (say("steps"), f"{min(steps):,} – {max(steps):,}" if steps else "0"),
        (say("layers"), f"{len(trace.facts.layers):,}"),
        (say("quantities"), ", ".join(sorted({str(row.quantity) for row in trace})) or "–"),
        (say("loss"), trace.facts.loss or "–"),
        (say("optimizer"), trace.facts.optimizer or "–"),
    ]
    drawn = _drawn(lambda: [diagnosis_figures(trace, Diagnosis())["gradients"]])
    return _framed(_title(say("trace")), _table((), facts), *(drawn or [_gradients(trace)]))


html_of.register(Diagnosis)(_diagnosis_card)
html_of.register(Trace)(_trace_card)


@markdown_of.register
def _(diagnosis: Diagnosis) -> str:
    return diagnosis_markdown(diagnosis, say("Diagnosis"))


def _findings(diagnosis: Diagnosis) -> Markup:
    if diagnosis.healthy:
        return Markup("")
    columns = (say("finding"), "", say("where"), say("evidence"), say("worth trying"))
    rows = [
        _finding(finding, first=finding is chain[0])
        for chain in diagnosis.chains()
        for finding in chain
    ]
    sentences = [
        _small(text)
        for chain in diagnosis.chains()
        for text in (
            *([chain_text(chain).replace(" -> ", " → ")] if len(chain) > 1 else []),
            *(told(finding.explanation) for finding in chain),
            *(say("change: {advice}", advice=told(f.advice)) for f in chain if f.advice),
        )
    ]
    return _table(columns, rows) + Markup("").join(sentences)


def _finding(finding: Finding, *, first: bool) -> tuple[str, ...]:
    title = condition_title(finding.condition)
    evidence = "; ".join(
        f"{evidence_title(name)} {quantity(float(value))}"
        for name, value in finding.evidence.items()
    )
    remedies = ", ".join(remedy_label(spec) for spec in finding.remedies)
    return (
        _bold(title) if first else say("so: {condition}", condition=title),
        _pill(severity_word(finding.severity), finding.severity),
        finding.place,
        evidence,
        _code(remedies) if remedies else "",
    )


def _arms(record: StudyRecord) -> Markup:
    metric, rows = record.task.metric, []
    for arm in record.arms:
        effect, outcome = "", ""
        if arm.verdict is not None:
            found = arm.verdict.effect
            span = interval(found, metric, unit=False)
            p = p_value(arm.verdict.adjusted_p)
            effect = f"{change(found.mean, metric)} [{span}], {p}"
            outcome = _bold(outcome_word(arm.verdict.outcome))
        rows.append((arm_title(arm.name), score(mean(arm.per_seed), metric), effect, outcome))
    columns = (
        say("arm"), metric_title(metric), say("against untreated"), say("verdict"),
    )  # fmt: skip
    return _table(columns, rows)


def _remedies(recipe: Iterable[RemedySpec]) -> Markup:
    rows = [(_code(remedy_label(spec)), remedy_sentence(spec)) for spec in recipe]
    return _table((say("remedy"), say("what it does")), rows) if rows else Markup("")


def _gradients(trace: Trace) -> Markup:
    """Return the gradient of every layer as numbers, where no figure can be drawn."""
    sparks = gradient_sparks(trace)
    if not sparks:
        return Markup("")
    names = in_order(trace, dict.fromkeys(trace.modules(Quantity.GRADIENT_NORM)))
    rows = [(name, quantity(value)) for name, value in zip(names, sparks[0].values, strict=True)]
    return _table((say("layer"), say("norm of the gradient, median")), rows)


def _drawn(make: Callable[[], Iterable[Figure | None]]) -> list[Markup]:
    """Return figures as pictures; none where the libraries that draw them are not installed."""
    try:
        return [_picture(figure) for figure in make() if figure is not None]
    except MissingExtra:
        return []


def _picture(figure: Figure) -> Markup:
    data = b64encode(figure_svg(figure, caption=False).encode()).decode()
    return Markup(
        '<p style="margin:.6em 0 0"><img style="max-width:100%;height:auto" alt="{}" '
        'src="data:image/svg+xml;base64,{}"></p>'
    ).format(f"{figure.title}. {figure.alternative}", data)


def _card(title: str, headline: Headline, *parts: Markup) -> str:
    verdict = Markup('<p style="margin:.35em 0 .2em">{} {}</p>').format(
        _pill(headline.number, headline.tone), printable(headline.sentence)
    )
    return _framed(_title(title), verdict, *parts)


def _framed(*parts: Markup) -> str:
    return Markup(
        '<div style="font-family:system-ui,sans-serif;font-size:14px;line-height:1.45;border:{};'
        'border-radius:8px;padding:.7em 1em;max-width:60em;overflow-x:auto">{}</div>'
    ).format(LINE, Markup("").join(parts))


def _title(text: str) -> Markup:
    return Markup('<div style="font-size:12px;opacity:.75">fitwell · {}</div>').format(
        printable(text)
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table; without columns the first cell of a row is its head."""
    style = f"text-align:left;vertical-align:top;padding:.3em 1em .3em 0;border-bottom:{LINE}"
    cell = Markup('<td style="{}">{}</td>')
    head = Markup('<th style="{};font-weight:600">{}</th>')
    lines = [
        Markup("").join(
            (cell if columns or place else head).format(style, _safe(text))
            for place, text in enumerate(row)
        )
        for row in rows
    ]
    top = Markup("").join(head.format(style, column) for column in columns)
    return Markup(
        '<table style="border-collapse:collapse;margin:.5em 0;width:100%;font-size:13px;'
        'background:none;color:inherit">{}<tbody>{}</tbody></table>'
    ).format(
        Markup("<thead><tr>{}</tr></thead>").format(top) if columns else "",
        Markup("").join(Markup('<tr style="background:none">{}</tr>').format(r) for r in lines),
    )


def _safe(text: str) -> str:
    return text if isinstance(text, Markup) else printable(text)


def _small(text: str) -> Markup:
    return Markup('<p style="margin:.2em 0;font-size:13px">{}</p>').format(printable(text))


def _bold(text: str) -> Markup:
    return Markup("<b>{}</b>").format(printable(text))


def _code(text: str) -> Markup:
    return Markup('<code style="background:none;color:inherit">{}</code>').format(printable(text))


def _pill(text: str, tone: str) -> Markup:
    return Markup(
        '<span style="background:{};color:#fff;border-radius:99px;padding:.1em .7em;'
        'font-weight:600;white-space:nowrap">{}</span>'
    ).format(INK[tone], printable(text))

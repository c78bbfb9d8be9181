"""Why, and what else is like it: explain, similar."""

from __future__ import annotations

import click

from anomaly.cli import screen
from anomaly.cli.verb import verb
from anomaly.storage import open_root

_out = click.option(
    "--out", default="", metavar="DIR", help="copy the pictures into this folder"
)


@verb(
    click.argument("event"),
    _out,
    click.option(
        "--frames",
        type=click.IntRange(1, 50),
        default=1,
        show_default=True,
        help="how many frames of the event get a map, all on one scale, the peak among them",
    ),
    archive=False,
)
def explain(root: str, *, event: str, out: str, frames: int, as_json: bool) -> None:
    """Explain EVENT (its id, or how it begins): where, which moments, which part, what it is like."""
    from anomaly.spec import to_dict
    from anomaly.verbs.explain import explain as run
    from anomaly.verbs.explain import in_words

    explanation = run(open_root(root), event, out=out, frames=frames)
    screen.show(to_dict(explanation) if as_json else in_words(explanation), as_json=as_json)


@verb(
    click.argument("event"),
    click.option(
        "-k", default=10, type=click.IntRange(min=1), show_default=True, help="how many moments"
    ),
    _out,
    archive=False,
)
def similar(root: str, *, event: str, k: int, out: str, as_json: bool) -> None:
    """Find what is most like EVENT in the whole archive: exact, over all stored features."""
    from anomaly.verbs.similar import similar as run

    found = run(open_root(root), event, k=k, out=out)
    screen.show(found.to_json() if as_json else found.in_words(), as_json=as_json)

"""What every page of ours shares: our own style, escaping, a policy that allows nothing else, words.

Everything that comes from outside (file names above all) is escaped by the template engine, or stands
in a JSON island in which `<` cannot occur; a Content-Security-Policy allows only our own script and
style, by hash, and forbids every connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from anomaly.storage import Root


def fill(
    template: str, *, style: str, script: str = "", review: str = "", **values: Any
) -> str:
    """Return the page that a template of our assets makes of `values`.

    A template extends `page.html` and may include others. It finds `policy`, `style` and `script`
    ready, and the filters rarity, duration, clock and utc. With `review`, an address on the page's
    own server, the page may talk to that server and to no other.
    """
    environment = Environment(
        loader=PackageLoader("anomaly.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rarity": rarity,
        "duration": duration,
        "clock": clock,
        "utc": lambda time: time.astimezone(UTC),
    }
    return environment.get_template(template).render(
        policy=_policy(style, script, "'self'" if review else "'none'"),
        review=review,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        **values,
    )


def embed(root: Root, wanted: Iterable[str | None], page_bytes: int) -> dict[str, str]:
    """Return the objects that go into a page, base64 by key: the first ones, while there is room."""
    uses = Counter(key for key in wanted if key)
    embedded: dict[str, str] = {}
    left = page_bytes
    for key, times in uses.items():
        data = root.read(key)
        if data is not None and times * len(data) * 4 // 3 <= left:
            embedded[key] = base64.b64encode(data).decode()
            left -= times * len(embedded[key])
    return embedded


def assets(*names: str) -> str:
    """Return our own styles or scripts of these names, one after the other."""
    folder = files("anomaly.report").joinpath("assets")
    return "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)


def _policy(style: str, script: str, connect: str) -> str:
    """Return the Content-Security-Policy: our own style and script by hash, pictures inline, no net.

    Whole videos on this machine (`file:`) may be played where the page itself is a file.
    """

    def digest(text: str) -> str:
        if not text:
            return "'none'"
        return (
            "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        )

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        f"connect-src {connect}; img-src data:; media-src blob: file:; "
        "base-uri 'none'; form-action 'none'"
    )


def island(data: dict[str, Any]) -> Markup:
    """Return JSON that may stand inside a script element: no `<`, so no tag can begin or end in it."""
    text = json.dumps(data, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704 - escaped on the line above


def rarity(one_in_days: float) -> str:
    """Return in words how often normal video scores as high.

    >>> rarity(0.25), rarity(3.2), rarity(2000)
    ('about 4 a day', 'once in 3 days', 'once in 5 years')
    """
    if one_in_days < 0.75:
        return f"about {1 / max(one_in_days, 1e-3):.0f} a day"
    if one_in_days < 1.5:
        return "once a day"
    if one_in_days < 700:
        return f"once in {one_in_days:.0f} days"
    years = one_in_days / 365.25
    return f"once in {years:.0f} years" if years < 100 else "less than once in 100 years"


def duration(seconds: float) -> str:
    """Return a length of time in words.

    >>> duration(2.34), duration(75), duration(7260)
    ('2.3 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def clock(seconds: float) -> str:
    """Return a moment of a video as h:mm:ss.s."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"

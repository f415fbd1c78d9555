"""The one picture that all lessons share, with the part of the step lit."""

from typing import Final

_STYLE: Final = (
    "text{font:14px sans-serif;fill:#1f2937;text-anchor:middle}"
    ".small{font-size:12px;fill:#4b5563}"
    "rect{fill:#ffffff;stroke:#6b7280;stroke-width:1.5}"
    ".lit{fill:#fde68a;stroke:#b45309;stroke-width:3}"
    ".page{fill:#f9fafb;stroke:none}"
    "line{stroke:#374151;stroke-width:1.5;marker-start:url(#tip);marker-end:url(#tip)}"
)

PARTS: Final = {
    "caller": (20, 70, 90, 50),
    "voice platform": (190, 70, 120, 50),
    "tunnel": (390, 70, 80, 50),
    "your server": (530, 20, 350, 150),
    "endpoint": (545, 70, 95, 50),
    "wiring": (660, 70, 85, 50),
    "responder": (765, 70, 100, 50),
    "model": (930, 30, 80, 50),
    "tools": (930, 110, 80, 50),
}
"""Every part of the picture with its place: left, top, width, height in pixels."""

_LINES: Final = (
    ((119, 95), (181, 95)),
    ((319, 95), (381, 95)),
    ((479, 95), (536, 95)),
    ((872, 88), (923, 63)),
    ((872, 102), (923, 127)),
)
"""Every line with its two ends."""


def draw(lit: tuple[str, ...]) -> str:
    """Draw the picture as SVG.

    Args:
        lit: the names of the parts to light, from `PARTS`.
    """
    boxes = "\n".join(_box(name, is_lit=name in lit) for name in PARTS)
    lines = "\n".join(
        f'<line x1="{left}" y1="{top}" x2="{right}" y2="{bottom}"/>'
        for (left, top), (right, bottom) in _LINES
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1030 190" width="1030" height="190" role="img">
<title>A caller speaks with the platform, which exchanges text with your server, which \
asks a model and uses tools: lit is {" and ".join(lit)}</title>
<style>{_STYLE}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" \
orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#374151"/></marker></defs>
<rect class="page" width="1030" height="190" rx="8"/>
{boxes}
{lines}
<text class="small" x="150" y="84">speech</text>
<text class="small" x="420" y="150">text, one WebSocket a call</text>
</svg>
"""


def _box(name: str, *, is_lit: bool) -> str:
    left, top, width, height = PARTS[name]
    middle, baseline = left + width / 2, top + (22 if name == "your server" else height / 2 + 5)
    style = ' class="lit"' if is_lit else ""
    return (
        f'<rect{style} x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>'
        f'<text x="{middle:.0f}" y="{baseline:.0f}">{name}</text>'
    )

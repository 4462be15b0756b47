"""How figures look: on paper or, when the page turns the lights off, without it.

Figures are drawn with INK on PAPER; the site has each twice (`on_page`), for light and for dark pages. So all other
colours are mid-tones, with a contrast of at least 3 to both.
"""

from typing import Any

INK, PAPER = "#1b1b1f", "#fffffe"
COLOURS = ("#3d7fd0", "#d9730d", "#2a9a68", "#c2569f", "#d64550", "#7b7f8c", "#9a7b2f")
BLUE, ORANGE, GREEN, PINK, RED, GREY, OCHRE = COLOURS

STYLE: Any = {  # rcParams of Matplotlib
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.facecolor": PAPER,
    "font.size": 10,
    "grid.alpha": 0.35,
    "grid.color": GREY,
    "grid.linewidth": 0.6,
    "image.cmap": "viridis",
    "legend.framealpha": 0,
    "lines.linewidth": 1.6,
    "savefig.facecolor": PAPER,
    "svg.hashsalt": "octavo",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

_INKS = {"light": "#1b1b1f", "dark": "#e3e5ea"}


def on_page(svg: str, scheme: str) -> str:
    """A figure with no paper, in the ink of light or dark pages."""
    return svg.replace(PAPER, "none").replace(INK, _INKS[scheme]).replace("currentColor", _INKS[scheme])

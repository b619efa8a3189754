"""The leaderboard: results and published numbers as tables, on a page or in Markdown."""

from galaxyds_models.leaderboard.collect import Board, collect
from galaxyds_models.leaderboard.markdown import markdown
from galaxyds_models.leaderboard.page import page, write_page

__all__ = ["Board", "collect", "markdown", "page", "write_page"]

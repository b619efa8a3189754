"""``python -m galaxyds.metrics`` prints the tables of docs/metrics.md."""

from galaxyds.metrics.table import markdown

if __name__ == "__main__":
    print(markdown(), end="")

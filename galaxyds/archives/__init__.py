"""Archives: rows and pixels from outside, one module per archive."""

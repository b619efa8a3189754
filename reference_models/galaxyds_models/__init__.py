"""Reference implementations of the papers' models, scored on galaxyds datasets."""

"""The ``galaxyds`` command: one small module per verb."""

"""What is known of this machine: its settings, what ``doctor`` looks at, which packages are here.

Nothing is imported with the package, and its modules import what may be missing where they need it:
``doctor`` must be able to say what is missing.
"""

"""Published builds, brought here from a hub."""

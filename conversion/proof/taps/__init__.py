"""Layer outputs of an artifact, aligned by topology: they say where, never whether."""

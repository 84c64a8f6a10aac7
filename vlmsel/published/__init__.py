"""Other people's tables: readers, names and cleaning. Nothing of a table goes silently."""

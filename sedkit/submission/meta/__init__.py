"""A system's meta file: what is asked for, read, described and written."""

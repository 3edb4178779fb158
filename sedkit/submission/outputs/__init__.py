"""What a package holds of a system beside its meta file: tables of events, of scores, of operating points."""

"""Grid nouns: programs, events, reports and VENs as the VTN writes them; no I/O, no site nouns."""

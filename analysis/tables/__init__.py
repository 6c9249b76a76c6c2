"""The tables of evidence: their schema, reading, checking and collecting."""

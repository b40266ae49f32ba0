"""The dns layer: names into addresses, and the query as the subject."""

"""The processes of a fault run: workers and replays, sound ones, faulty ones and broken ones."""

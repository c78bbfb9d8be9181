"""Beside the rooms: why and where. `places` makes maps and boxes of a detector's cells."""

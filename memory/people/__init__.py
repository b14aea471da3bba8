"""Who speaks, across sources and days: voices to persons, names from acts. Off unless it is turned on."""

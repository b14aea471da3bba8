"""Who speaks, across sources and days: voices to persons, names from acts. Off unless the owner turns it on."""

"""Whether evidence supports what a question asks of a person, with a calibrated confidence."""

"""Language models behind one protocol, and what is asked of them: to say an answer in better words."""

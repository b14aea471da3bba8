"""An album told: outline, draft, what each sentence claims, a look at the pictures, and what is told in the end."""

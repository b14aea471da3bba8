"""An album told: outline, draft, claims, a look at the pictures, and what is told in the end."""

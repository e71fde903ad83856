"""A first declaration of a table that nobody has declared yet."""

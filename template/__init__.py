"""Makes the template somebody's own: `make mine`, and `make update` in what came of it."""

"""The project template and the catalog that offers it."""

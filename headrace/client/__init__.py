"""What the project has on AWS, as objects. Prints nothing, so it serves a notebook as well."""

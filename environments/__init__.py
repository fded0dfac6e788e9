"""environments.toml and prices.toml, read and checked; without the CDK, so that every package can use it."""

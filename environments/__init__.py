"""What environments.toml and prices.toml say, read and checked; without the CDK, so that every package can use it."""

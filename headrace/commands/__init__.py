"""One command per file: reads with client, decides, prints with terminal."""

"""The bot: chat and web in front of `inference`."""

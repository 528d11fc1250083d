"""Inboxes that play Slack and PagerDuty as strictly as the real ones, and keep everything they were told."""

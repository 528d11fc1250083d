"""Alertmanager's webhook, turned into AlertGroup and Alert. Pure; called by web and pipeline."""

"""The way of an alert: intake, gather, respond, and what keeps watch beside it. Called by app."""

"""The embedded providers: recognition, model and voice on this machine."""

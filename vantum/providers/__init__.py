"""Adapters to recognisers, models and synthesisers, each on its real wire protocol."""

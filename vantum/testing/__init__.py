"""Simulated peers: public, for your tests as well as ours."""

"""Campaigns: a list of prospects, called one after the other by rules.

`plan` reads the campaign's file and `files` its list; `store` keeps in SQLite where everybody
stands; `run` dials by what `core.campaign` decides; `report` says what came of it.
"""

"""The scorecard of turn-taking: recorded voices, played to the server's own policies."""

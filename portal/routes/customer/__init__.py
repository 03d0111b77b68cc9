"""Where customers go: home, plan, their own details."""

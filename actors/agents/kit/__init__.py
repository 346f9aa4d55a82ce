"""What the built-in agents share: findings, outcomes, tools, work trees."""

"""What a start and a handoff cost: requests to the manager, answered when they are durable."""

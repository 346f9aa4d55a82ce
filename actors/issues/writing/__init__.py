"""Verbs and claims: from what is asked to rows and journal in the writer's transaction."""

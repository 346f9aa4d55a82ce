"""Hostile requests against real doors."""

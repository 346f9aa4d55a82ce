"""Tests of the results storage."""

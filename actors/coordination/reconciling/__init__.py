"""What keeps issues, workflows, assignments and Git one story; see docs/reconcile.md."""

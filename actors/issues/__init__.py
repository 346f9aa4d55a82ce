"""Issues: a pure record and its rules, the handlers of its database, and the actors around it."""

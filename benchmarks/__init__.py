"""What the system does in a second, measured on the machine at hand: see README.md here."""

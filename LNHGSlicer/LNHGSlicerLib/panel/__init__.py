"""What the user sees and clicks."""

"""What public sets have in forms of their own."""

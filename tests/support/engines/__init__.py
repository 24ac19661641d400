"""What engines are tried on, and what their numbers are held against."""

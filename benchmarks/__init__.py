"""What measures nerstream and is no part of it: peers, recorded results."""

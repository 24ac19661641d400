"""What measures nerstream and is no part of the package: peers, recorded results."""

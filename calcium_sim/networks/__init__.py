"""What a trained network is: read, examined, written out, lowered to a table of operations, and made a channel class."""

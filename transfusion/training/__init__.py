"""The training of one cell: its inputs, the range test, the steps, the evaluation."""

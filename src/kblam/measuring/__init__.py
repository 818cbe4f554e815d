"""Speed and memory of ours and of the alternatives, side by side."""

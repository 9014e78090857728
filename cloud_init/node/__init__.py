"""The program on every node: brings the node to its configuration and reports its state. Standard library only."""

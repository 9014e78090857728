"""The program on every node: brings the node to its configuration and says how it is. Standard library only."""

"""The program behind every stand-in. It runs on a node's own Python 3.11 and stays small: 13 of them share a machine."""

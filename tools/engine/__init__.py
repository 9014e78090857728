"""The Pulumi engine: finding it, fetching it, the environment it runs in, and our Python language host."""

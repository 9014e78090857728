"""The services, by what they are for."""

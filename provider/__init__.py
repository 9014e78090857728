"""The Pulumi provider `webitel`: what our own resources do. Started by the engine, never imported by the program."""

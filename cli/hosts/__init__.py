"""What has to be true of hosts that are given, before anything is changed on them."""

"""Records of who did what on this node: kept in files of a day each, and sent to the operator's log server."""

"""This host: its packages, what it must fetch, and the locks and the lines of progress that several runs share."""

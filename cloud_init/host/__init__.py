"""The program that looks at a given host before anything is changed on it: standard library only, sent as one file over SSH."""

"""OpenSIPS' stand-in: reads opensips.cfg strictly and runs it, module by module, as OpenSIPS 3.4 does.

It takes nothing from elsewhere than the file; where that is silent it takes the real program's default (`modules.tsv`).
"""

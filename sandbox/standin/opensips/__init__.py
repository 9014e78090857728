"""OpenSIPS' stand-in: a strict reader of opensips.cfg, and Kamailio behind its SIP."""

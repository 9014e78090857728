"""FreeSWITCH's stand-in: a strict reader of its XML, SIP with RTP echo, the event socket, Consul and the broker."""

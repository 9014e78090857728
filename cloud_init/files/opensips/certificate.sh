#!/bin/sh
# Makes the table that tls_mgm reads from the certificate of the web: `start` before OpenSIPS reads it, `reload` while it runs.
# A connection that is held keeps the old one; new ones get the new one.
set -eu
umask 027
folder=/run/opensips-tables
mkdir -p "$folder"

# The certificates of a PEM file, or its key, as a field of db_text: one line, colons escaped, at most 4096 bytes. What does not
# fit of a chain is its far end, which the others have.
field() {
  awk -v want="$1" '
    /^-----BEGIN/ { block = ""; take = want == "key" ? /PRIVATE KEY/ : /CERTIFICATE/ }
    take { gsub(/\\/, "\\\\"); gsub(/:/, "\\:"); block = block $0 "\\n" }
    /^-----END/ && take { size += length(block); if (size <= 4096) printf "%s", block; take = 0 }
  ' /etc/ssl/private/webitel.pem
}
certificate=$(field certificate)
key=$(field key)

printf 'table_name(string) table_version(int)\ntls_mgm:3\n' > "$folder/version"
{
  printf '%s ' 'id(int,auto)' 'domain(string)' 'match_ip_address(string,null)' 'match_sip_domain(string,null)' 'type(int)' \
    'method(string,null)' 'verify_cert(int,null)' 'require_cert(int,null)' 'certificate(blob,null)' 'private_key(blob,null)' \
    'crl_check_all(int,null)' 'crl_dir(string,null)' 'ca_list(blob,null)' 'ca_dir(string,null)' 'cipher_list(string,null)' \
    'dh_params(blob,null)' 'ec_curve(string,null)'
  # 2 is a server's: phones and carriers connect to us. 1 is a client's: we connect to a carrier, whose certificate must be one
  # that Debian trusts.
  printf '\n1:phones:*:*:2:TLSv1_2-:0:0:%s:%s:0:::/etc/ssl/certs:::\n' "$certificate" "$key"
  printf '2:carriers:*:*:1:TLSv1_2-:1:1:%s:%s:0:::/etc/ssl/certs:::\n' "$certificate" "$key"
} > "$folder/tls_mgm.new"
chgrp -R opensips "$folder"
mv "$folder/tls_mgm.new" "$folder/tls_mgm"

[ "$1" = start ] || /usr/lib/webitel/setup/opensips.sh tls_reload

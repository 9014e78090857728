{% from "telephony.j2" import inner_address with context %}
-- The FreeSWITCH nodes of the plan are set 1: calls go to them, and who sends from such an address and port is trusted.
-- The socket is the inner one: from any other, pings and calls would go out under the public address.
begin;
create temporary table wanted on commit drop as
    select format('sip:%s:{{ port("freeswitch", "sip") }}', n.address) as destination,
        'udp:{{ inner_address() }}:{{ port("opensips", "inner") }}'::text as socket, n.key as description
    from (values
{% for media in serving("freeswitch") %}
        ('{{ address(media) }}', '{{ media.key }}'){{ "" if loop.last else "," }}
{% endfor %}
    ) n (address, key);
delete from dispatcher d where d.setid = 1 and not exists (select from wanted w where w.destination = d.destination);
update dispatcher d set socket = w.socket, description = w.description from wanted w
    where d.setid = 1 and d.destination = w.destination and (d.socket, d.description) is distinct from (w.socket, w.description);
insert into dispatcher (setid, destination, socket, description)
    select 1, w.destination, w.socket, w.description from wanted w
    where not exists (select from dispatcher d where d.setid = 1 and d.destination = w.destination);
commit;

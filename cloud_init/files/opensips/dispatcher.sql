-- The FreeSWITCH nodes of the plan are set 1: calls go to them, and who sends from such an address and port is trusted.
-- The socket is the inner one: from any other, pings and calls would go out under the public address.
begin;
create temporary table wanted (destination text, socket text, description text) on commit drop;
{% for media in serving("freeswitch") %}
insert into wanted values ('sip:{{ address(media) }}:{{ port("freeswitch", "sip") }}', 'udp:{{ address() }}:{{ port("opensips", "inner") }}', '{{ media.key }}');
{% endfor %}
delete from dispatcher d where d.setid = 1 and not exists (select from wanted w where w.destination = d.destination);
update dispatcher d set socket = w.socket, description = w.description from wanted w
    where d.setid = 1 and d.destination = w.destination and (d.socket, d.description) is distinct from (w.socket, w.description);
insert into dispatcher (setid, destination, socket, description)
    select 1, w.destination, w.socket, w.description from wanted w
    where not exists (select from dispatcher d where d.setid = 1 and d.destination = w.destination);
commit;

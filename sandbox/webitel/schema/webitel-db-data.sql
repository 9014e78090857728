SET ROLE opensips;
INSERT INTO directory.sandbox_server DEFAULT VALUES;
INSERT INTO directory.wbt_domain (name) VALUES ('webitel');
INSERT INTO public.version (table_name, table_version) VALUES
    ('version', 1), ('sip_registrant', 3), ('dispatcher', 9), ('location', 1013), ('sip_address_allow', 5), ('sip_subscriber', 8),
    ('subscriber', 8);
INSERT INTO flow.calendar_timezones (name, utc_offset) VALUES ('Etc/UTC', '0'), ('Europe/Kyiv', '2 hours'), ('Europe/Berlin', '1 hour');
INSERT INTO logger.object_config (object_name, enabled) VALUES ('cases', true), ('users', true);
RESET ROLE;

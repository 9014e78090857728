\set ON_ERROR_STOP on
-- Passwords are set at each run, so that a rotated one takes effect.
SELECT 'CREATE ROLE opensips LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'opensips') \gexec
ALTER ROLE opensips NOSUPERUSER NOCREATEROLE PASSWORD '{{ secret("database_password") }}';
ALTER ROLE opensips IN DATABASE webitel SET search_path = "$user", public, call_center, directory, storage;
SELECT 'CREATE ROLE grafana LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec
ALTER ROLE grafana NOSUPERUSER PASSWORD '{{ secret("grafana_database_password") }}';
SELECT 'CREATE ROLE grafana_store LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana_store') \gexec
ALTER ROLE grafana_store NOSUPERUSER PASSWORD '{{ secret("grafana_store_password") }}';
GRANT pg_monitor TO opensips;

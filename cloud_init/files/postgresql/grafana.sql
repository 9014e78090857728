\set ON_ERROR_STOP on
-- What Grafana's role may read: webitel:grafana_reads, without columns that hold credentials. Granted anew at each run, so that
-- tables of a newer schema are found; in one transaction, so that no query meets the moment between.
BEGIN;
REVOKE pg_read_all_data FROM grafana;
CREATE TEMPORARY TABLE opened (name text) ON COMMIT DROP;
{% for name in settings.grafana_reads %}
INSERT INTO opened VALUES ('{{ name }}');
{% endfor %}
DO $grant$
DECLARE
  relation record;
  columns text;
BEGIN
  -- Also what an earlier setting opened.
  FOR relation IN
    SELECT DISTINCT n.nspname FROM pg_namespace n
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND has_schema_privilege('grafana', n.oid, 'USAGE')
      AND EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = 'grafana'::regrole)
  LOOP
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM grafana', relation.nspname);
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM grafana', relation.nspname);
  END LOOP;
  FOR relation IN
    SELECT c.oid, n.nspname, c.relname,
           -- Settings of mailboxes, gateways and integrations, whose free fields hold what they log in with.
           c.relname ~ '(email_profile|outbound_resource|system_settings|gateway|web_hook|integration|bot|provider)' AS settings
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND EXISTS (SELECT FROM opened WHERE name IN (n.nspname, n.nspname || '.' || c.relname))
  LOOP
    SELECT string_agg(format('%I', a.attname), ', ') INTO columns
    FROM pg_attribute a
    WHERE a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname !~* '(passw|secret|token|digest|ha1|credential|private_key|api_?key|authorization|salt)'
      AND NOT (relation.settings AND a.atttypid IN ('json'::regtype, 'jsonb'::regtype));
    IF columns IS NOT NULL THEN
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO grafana', relation.nspname);
      EXECUTE format('GRANT SELECT (%s) ON %I.%I TO grafana', columns, relation.nspname, relation.relname);
    END IF;
  END LOOP;
END
$grant$;
-- PostgreSQL lets everybody call a function, and one with its owner's rights reads for whoever calls it what that role may not.
-- Only the services' role calls those; an extension keeps its own.
DO $lend$
DECLARE
  lent record;
BEGIN
  FOR lent IN
    SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
      AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO opensips', lent.name);
    EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', lent.name);
  END LOOP;
END
$lend$;
COMMIT;

-- Runs behind the migration that drizzle-kit generates: tables that are partitioned by time, which it cannot declare. What was just
-- made becomes the default partition, so that no row is ever without a place; partitions.ts makes the others ahead of time.
DO $$
DECLARE
  divided record;
  policy record;
BEGIN
  FOR divided IN SELECT * FROM (VALUES ('flight_record', 'received_at'), ('spend_tick', 'written_at')) AS list (name, key) LOOP
    EXECUTE format('ALTER TABLE %I RENAME TO %I', divided.name, divided.name || '_default');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (%I)', divided.name, divided.name || '_default', divided.key);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', divided.name, divided.name || '_default');
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', divided.name);
    FOR policy IN SELECT * FROM pg_policies WHERE schemaname = current_schema() AND tablename = divided.name || '_default' LOOP
      EXECUTE format('DROP POLICY %I ON %I', policy.policyname, policy.tablename);
      EXECUTE format('CREATE POLICY %I ON %I FOR ALL TO %I USING (%s) WITH CHECK (%s)', policy.policyname, divided.name, policy.roles[1], policy.qual, policy.with_check);
    END LOOP;
  END LOOP;
END $$;

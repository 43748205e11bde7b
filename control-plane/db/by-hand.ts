/**
 * Runs behind the migration that drizzle-kit generates: tables that are partitioned by time, which it cannot declare. What was
 * just made becomes the default partition, so that no row is ever without a place; `partitions.ts` makes the others ahead of time.
 */
export const byHand = `do $$
declare
  divided record;
  policy record;
begin
  for divided in select * from (values ('flight_record', 'received_at'), ('spend_tick', 'written_at')) as list (name, key) loop
    execute format('alter table %I rename to %I', divided.name, divided.name || '_default');
    execute format('create table %I (like %I including all) partition by range (%I)', divided.name, divided.name || '_default', divided.key);
    execute format('alter table %I attach partition %I default', divided.name, divided.name || '_default');
    execute format('alter table %I enable row level security', divided.name);
    for policy in select * from pg_policies where schemaname = current_schema() and tablename = divided.name || '_default' loop
      execute format('drop policy %I on %I', policy.policyname, policy.tablename);
      execute format('create policy %I on %I for all to %I using (%s) with check (%s)', policy.policyname, divided.name, policy.roles[1], policy.qual, policy.with_check);
    end loop;
  end loop;
end $$`

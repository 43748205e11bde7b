import { type Query, QueryFailed, StartRefused } from './driver.ts'

/** What a transaction speaks as: one tenant, or the installation across tenants. Neither owns a table nor bypasses a policy. */
export type SpeakingRole = 'sluice_tenant' | 'sluice_installation'
const speakingRoles: SpeakingRole[] = ['sluice_tenant', 'sluice_installation']

const refusal =
  'The PostgreSQL user of SLUICE_DATABASE_URL may not create or take the roles sluice_tenant and sluice_installation; ' +
  'give it CREATEROLE, or create both with NOLOGIN and grant them to it.'

/**
 * Makes the roles where they are missing and sees that this user may take them. Outside of the migrations, since roles belong
 * to the server and not to a database: a restored database finds none, a second database finds them made.
 */
export async function prepareRoles(query: Query): Promise<void> {
  try {
    for (const role of speakingRoles) await prepareRole(query, role)
  } catch (error) {
    if (error instanceof QueryFailed && error.code === '42501') throw new StartRefused(refusal)
    throw error
  }
}

async function prepareRole(query: Query, role: SpeakingRole): Promise<void> {
  const { rows } = await query('select rolsuper or rolbypassrls from pg_roles where rolname = $1', [role])
  if (rows.length === 0) await query(creation(role), [])
  if (rows[0]?.[0] === true)
    throw new StartRefused(
      `The PostgreSQL role ${role} bypasses row-level security; take SUPERUSER and BYPASSRLS from it.`,
    )
  if (await mayTake(query, role)) return
  await query(`grant ${role} to current_user`, [])
  if (!(await mayTake(query, role))) throw new StartRefused(refusal)
}

/** Tried, since membership alone does not say it from version 16 on. */
async function mayTake(query: Query, role: SpeakingRole): Promise<boolean> {
  try {
    await query(`set role ${role}`, [])
    await query('reset role', [])
    return true
  } catch (error) {
    if (error instanceof QueryFailed && error.code === '42501') return false
    throw error
  }
}

/** Control planes of two databases on one server may come to it at the same moment. */
const creation = (role: SpeakingRole) => `do $$ begin
  create role ${role} nologin;
exception when duplicate_object or unique_violation then null;
end $$`

/**
 * Runs with every migration, after its statements: holds the tables that have policies against their owner too, and lets the
 * speaking roles at them. A table without policies stays closed to both.
 */
export const walls = `do $$
declare walled regclass;
begin
  execute format('grant usage on schema %I to sluice_tenant, sluice_installation', current_schema());
  for walled in
    select oid from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') and relrowsecurity
  loop
    execute format('alter table %s force row level security', walled);
    -- Partitions are reached through their table alone.
    continue when (select relispartition from pg_class where oid = walled);
    execute format('grant select, insert, update, delete on %s to sluice_tenant, sluice_installation', walled);
  end loop;
  grant select, insert on installation to sluice_installation;
  grant usage on sequence record_arrival to sluice_tenant, sluice_installation;
end $$`

import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readIfPresent, readJson, writeDurably, writeDurablyLater } from './instance-files.ts'
import { openInstance } from './instance-identity.ts'
import { openKeys } from './instance-keys.ts'
import { lockDataDir } from './instance-lock.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-instance-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const lockPath = () => join(dataDir, 'plane.lock')
const take = () => {
  const lock = lockDataDir(dataDir)
  if ('refused' in lock) throw new Error(lock.refused)
  return lock
}

describe('the lock on a data directory', () => {
  it('is held by one at a time and free again after its release', () => {
    const lock = take()
    expect(lockDataDir(dataDir)).toMatchObject({ refused: expect.stringContaining('already open in this process') })
    lock.release()
    take().release()
    expect(existsSync(lockPath())).toBe(false)
  })

  it('names the living process that holds it, and is taken over when that one is killed', async () => {
    const program = `
      import { lockDataDir } from ${JSON.stringify(join(import.meta.dirname, 'instance-lock.ts'))}
      console.log(JSON.stringify(lockDataDir(process.argv[1])))
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['-e', program, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    expect(lockDataDir(dataDir)).toMatchObject({ refused: expect.stringContaining(`in use by process ${child.pid}`) })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    take().release()
  })

  it('is taken over from a process of an earlier run of the machine, from a reused pid, and from rubbish', () => {
    const lock = take()
    const own = JSON.parse(readFileSync(lockPath(), 'utf8'))
    lock.release()
    for (const text of [
      JSON.stringify({ ...own, bootId: 'earlier' }),
      JSON.stringify({ ...own, started: '1' }),
      '{',
      '',
    ]) {
      writeFileSync(lockPath(), text)
      take().release()
    }
  })

  it('does not release a lock that somebody else has taken since', () => {
    const lock = take()
    writeFileSync(lockPath(), '{"pid":1}')
    lock.release()
    expect(existsSync(lockPath())).toBe(true)
  })
})

describe('the keys of an instance', () => {
  it('are made once, private to their owner, and the same afterwards', async () => {
    const first = await openKeys(dataDir)
    const second = await openKeys(dataDir)
    if ('refused' in first || 'refused' in second) throw new Error('refused')
    expect(second.signingPublic).toBe(first.signingPublic)
    expect(second.recipient).toBe(first.recipient)
    expect(statSync(join(dataDir, 'instance.key')).mode & 0o777).toBe(0o600)
  })

  it('are refused when others may read them, with the command that mends it', async () => {
    await openKeys(dataDir)
    const path = join(dataDir, 'instance.key')
    chmodSync(path, 0o640)
    expect(await openKeys(dataDir)).toEqual({
      refused: `Others may read ${path}. Make it private with: chmod 600 ${path}`,
    })
  })

  it('are not made anew where the file is damaged', async () => {
    await openKeys(dataDir)
    writeFileSync(join(dataDir, 'instance.key'), '{"signingKey":"x","encryptionKey":"y"}')
    expect(await openKeys(dataDir)).toMatchObject({ refused: expect.stringContaining('damaged') })
  })
})

describe('an instance that was not opened', () => {
  it('leaves the data directory free', async () => {
    const options = { dataDir, controlUrl: 'http://127.0.0.1:1', token: null, host: 'test', version: '0.1.0' }
    expect(await openInstance(options)).toMatchObject({ refused: expect.stringContaining('not enrolled') })
    take().release()
  })
})

describe('a durable file', () => {
  it('is replaced whole, by either way of writing, and leaves no draft', async () => {
    const path = join(dataDir, 'file.json')
    expect(readIfPresent(path)).toBeUndefined()
    writeDurably(path, '{"a":1}')
    expect(readJson(path)).toEqual({ a: 1 })
    await writeDurablyLater(path, '{"a":2}')
    expect(readJson(path)).toEqual({ a: 2 })
    await expect(writeDurablyLater(join(dataDir, 'none', 'file'), 'x')).rejects.toThrow()
    expect(() => writeDurably(join(dataDir, 'none', 'file'), 'x')).toThrow()
    writeFileSync(path, 'not json')
    expect(readJson(path)).toBeUndefined()
  })
})

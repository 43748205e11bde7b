/** Why the control plane could not start, as one sentence for whoever started it. */
export class CannotListen extends Error {}

/** The error of an attempt to listen, in words where it is one that happens. */
export function cannotListen(error: unknown, host: string, port: number): unknown {
  const code = (error as { code?: string }).code
  if (code === 'EADDRINUSE')
    return new CannotListen(
      `Port ${port} on ${host} is taken by another program; stop that one, or choose another port with SLUICE_PORT.`,
    )
  if (code === 'EACCES')
    return new CannotListen(`Port ${port} on ${host} may not be used by this user; choose one above 1023.`)
  return error
}

/** `http://127.0.0.1:4000`, also for IPv6. */
export function addressUrl(host: string, port: number, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

import { Server } from 'node:http'

// Preloaded into the Portkey gateway, which gives no host when it listens and would be open to the network.
const listen = Server.prototype.listen as (...args: unknown[]) => Server
Server.prototype.listen = function (this: Server, ...args: unknown[]) {
  const [port, ...rest] = args
  const callback = rest.find((value) => typeof value === 'function')
  return listen.call(
    this,
    { port: typeof port === 'object' ? (port as { port: number }).port : port, host: '127.0.0.1' },
    callback,
  )
} as Server['listen']

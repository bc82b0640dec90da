// The origin of http-tests/cache-tests on a free loopback port, which is printed; the suite's own server listens on all
// interfaces. It ends with its standard input.
//
//   node origin.mjs <clone>

import http from 'node:http'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const server = path.resolve(process.argv[2], 'test-engine/server')
const handler = async name => (await import(pathToFileURL(path.join(server, `handle-${name}.mjs`)))).default
const handlers = { config: await handler('config'), state: await handler('state'), test: await handler('test') }

// It speaks of each request on the standard output, where only the port belongs.
console.log = () => {}

const listener = http.createServer((request, response) => {
  const [, kind, ...rest] = new URL(request.url, 'http://localhost').pathname.split('/')
  if (Object.hasOwn(handlers, kind)) {
    handlers[kind](rest, request, response)
  } else {
    response.writeHead(404).end()
  }
})
listener.listen(0, '127.0.0.1', () => process.stdout.write(`${listener.address().port}\n`))
process.stdin.resume().on('end', () => process.exit())

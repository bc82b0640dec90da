// Runs http-tests/cache-tests against an edge, and prints each test with its verdict as JSON. With ids, only these run,
// and what they depend on, one after another.
//
//   node client.mjs <clone> <URL of the edge> [id ...]

import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [clone, edge, ...ids] = process.argv.slice(2)
const load = name => import(pathToFileURL(path.resolve(clone, name)))
const { default: suites } = await load('tests/index.mjs')
const { runTests, getResults } = await load('test-engine/client/runner.mjs')
const { determineTestResult, resultTypes, testLookup } = await load('test-engine/lib/results.mjs')

// The suite prints what surprises it on the standard output, where only the verdicts belong.
console.log = console.error

const chosen = new Set()
const choose = id => {
  if (!chosen.has(id)) {
    chosen.add(id)
    testLookup(suites, id).depends_on?.forEach(choose)
  }
}
ids.forEach(choose)
const some = suites.map(suite => ({ ...suite, tests: suite.tests.filter(test => chosen.has(test.id)) }))
await (ids.length ? runTests(some, false, edge, 1) : runTests(suites, false, edge))

const results = getResults()
const word = result => Object.keys(resultTypes).find(name => resultTypes[name] === result)
const verdicts = suites.flatMap(suite => suite.tests).filter(test => test.id in results).map(test => ({
  id: test.id,
  kind: test.kind ?? 'required',
  verdict: word(determineTestResult(suites, test.id, results)),
  message: results[test.id] === true ? '' : results[test.id].join(': ')
}))
process.stdout.write(JSON.stringify(verdicts))

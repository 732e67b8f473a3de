#!/usr/bin/env node
import { run } from './cli/run.ts'

process.exit(await run({ args: process.argv.slice(2), env: process.env, cwd: () => process.cwd() }))

import type { Config } from '../../config.ts'
import { type Finding, ok } from './finding.ts'

/** Whether anybody is told. Nobody is asked: a message from here would look like one of the server. The path may hold a secret. */
export const checkAlerts = ({ monitor: { webhookUrl, webhookAllowPrivate } }: Config): Finding => {
  if (webhookUrl === '') return ok('alerts', 'in the log alone; monitor.webhook_url would tell people (docs/alerts.md)')
  return ok('alerts', `go to ${new URL(webhookUrl).host}, signed${webhookAllowPrivate ? '; private addresses are allowed' : ''}`)
}

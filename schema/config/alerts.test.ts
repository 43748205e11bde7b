import { describe, expect, it } from 'vitest'
import { alertRule, alertTriggerNames, alertTriggers, webhook } from './alerts.ts'

const faults = (spec: object) => {
  const parsed = alertRule.spec.safeParse({ scope: 'ten_00000000000000000000000000000000', ...spec })
  if (!parsed.success) return parsed.error.issues.map(({ message }) => message)
  return alertRule.rules!(parsed.data).map(({ message }) => message)
}

describe('an alert rule', () => {
  it('takes a threshold only where its trigger has one, and within its bounds', () => {
    for (const on of alertTriggerNames) {
      expect(faults({ on })).toEqual([])
      const takes = alertTriggers[on].threshold !== null
      expect(faults({ on, threshold: '50' }).length === 0, on).toBe(takes)
      expect(faults({ on, threshold: '-1' })).toHaveLength(1)
    }
  })
  it('on what belongs to no team has the tenant as its scope', () => {
    const scope = 'tea_00000000000000000000000000000000'
    expect(faults({ on: 'DATA_PLANE_BEHIND', scope })).toEqual([expect.stringContaining('whole tenant')])
    expect(faults({ on: 'API_KEY_EXPIRING', scope: 'label/case' })).toHaveLength(1)
    expect(faults({ on: 'BURN_RATE', scope: 'label/case=a' })).toEqual([])
  })
})

describe('a webhook', () => {
  it.each([
    'ftp://a.example/x',
    'https://user:secret@a.example/',
    'https://a.example/#part',
    'hooks.example',
    'javascript:alert(1)',
  ])('is not at %s', (url) => {
    expect(webhook.spec.safeParse({ url }).success).toBe(false)
  })
  it('is sent events and not what is of the stream itself', () => {
    const parsed = webhook.spec.parse({ url: 'https://a.example', events: ['CONFIG_CHANGED', 'HEARTBEAT'] })
    expect(webhook.rules!(parsed)).toMatchObject([{ path: ['events', 1] }])
  })
})

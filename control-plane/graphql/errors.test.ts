import { GraphQLError } from 'graphql'
import { describe, expect, it } from 'vitest'
import { errorCodes, finishError, requestError, withoutValues } from './errors.ts'

describe('an error of a request', () => {
  const reported: unknown[] = []
  const finish = (error: unknown) => finishError(error, 'cor_1', (found) => reported.push(found))

  it('says its code, its request id and whether to try again', () => {
    for (const code of Object.keys(errorCodes) as (keyof typeof errorCodes)[]) {
      const { retryable, message } = errorCodes[code]
      const finished = finish(requestError(code))
      expect(finished.message).toBe(message)
      expect(finished.extensions).toMatchObject({ code, requestId: 'cor_1', retryable })
    }
  })

  it('that nobody made on purpose is masked and reported', () => {
    const bug = new Error('select * from api_key_secret failed at /srv/app')
    const finished = finish(new GraphQLError(bug.message, { originalError: bug, path: ['apply'] }))
    expect(JSON.stringify(finished)).not.toContain('api_key_secret')
    expect(finished.extensions.code).toBe('INTERNAL')
    expect(reported).toContain(bug)
    expect(finish(bug).message).toBe(errorCodes.INTERNAL.message)
  })

  it('is finished once', () => {
    const finished = finish(requestError('NOT_PERMITTED'))
    expect(finishError(finished, 'cor_2', () => {})).toBe(finished)
  })

  it('does not repeat values, which may be secrets', () => {
    const secret = 'sk-live; Expected type "x'
    const given = `{ credential: "credential/a", secret: "${secret}" }`
    expect(
      withoutValues(
        `Variable "$input" got invalid value ${given}; Field "idempotencyKey" of required type "String!" was not provided.`,
      ),
    ).toBe('Variable "$input" does not fit: Field "idempotencyKey" of required type "String!" was not provided.')
    expect(
      withoutValues(
        `Variable "$i" got invalid value ${given} at "i.resources[0]"; Exactly one key must be specified for OneOf type "ResourceInput".`,
      ),
    ).toBe(
      'Variable "$i" does not fit at "i.resources[0]": Exactly one key must be specified for OneOf type "ResourceInput".',
    )
    expect(
      withoutValues(
        'Variable "$i" got invalid value 123456 at "i.secret"; String cannot represent a non string value: 123456',
      ),
    ).toBe('Variable "$i" does not fit.')
    expect(withoutValues('String cannot represent a non string value: 123456')).toBe(
      'String cannot represent a non string value.',
    )
    expect(withoutValues('Syntax Error: Expected ":", found String "sk-live".')).toBe(
      'Syntax Error: Expected ":", found String.',
    )
  })
})

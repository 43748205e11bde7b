import type { Protocol } from '../codec.ts'
import { readConverseError } from './errors.ts'
import { converseReader } from './read-answer.ts'
import { writeConverseRequest } from './write-request.ts'

/** Amazon Bedrock's Converse. No client speaks it to the gateway: its SDK signs every request for Amazon alone. */
export const bedrockConverse: Protocol = {
  name: 'BEDROCK_CONVERSE',
  encode: writeConverseRequest,
  reader: converseReader,
  readError: readConverseError,
}

import { retireCommand } from './retire.ts'

export default retireCommand('restore', {
  description: 'Brings archived resources back as they were. Secrets of keys stay revoked.',
  example: 'sluice restore model/old alias/old',
})

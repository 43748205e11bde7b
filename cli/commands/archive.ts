import { retireCommand } from './retire.ts'

export default retireCommand('archive', {
  description: 'Retires resources by name: plans, shows the plan, asks, and archives exactly that or nothing.',
  example: 'sluice archive alias/old model/old --reason "nobody asks for it"',
})

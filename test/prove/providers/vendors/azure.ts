import { openaiChatVendor } from './openai-chat.ts'
import type { Vendor } from './vendor.ts'

export const azureVersion = '2025-04-01-preview'
export const azureDeployment = 'harbour_deployment.1'

/** Azure OpenAI's dated API: the deployment in the path, the version in the query, the key in `api-key`. */
export function azureVendor(key: string): Vendor {
  return {
    ...openaiChatVendor('azure', key, false),
    door(request) {
      const { pathname, search } = new URL(request.url)
      const path = `/openai/deployments/${encodeURIComponent(azureDeployment)}/chat/completions`
      if (pathname !== path || search !== `?api-version=${azureVersion}`)
        return { status: 404, message: `Resource not found: ${pathname}${search}` }
      if (request.headers.get('api-key') !== key) return { status: 401, message: 'Access denied due to invalid key' }
      if (request.headers.has('authorization')) return { status: 400, message: 'an authorization header came through' }
      return undefined
    },
  }
}

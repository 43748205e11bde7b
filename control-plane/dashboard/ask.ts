/** The session has ended, or never began. */
export class SignedOut extends Error {}

/** Asks the control plane one question, as the session's cookie. GET: the page only reads. */
export async function ask<Data>(query: string, variables: object, signal?: AbortSignal): Promise<Data> {
  const address = new URLSearchParams({ query, variables: JSON.stringify(variables) })
  const response = await fetch(`/graphql?${address}`, { headers: { accept: 'application/json' }, signal })
  if (response.status === 401) throw new SignedOut()
  const answer = (await response.json()) as { data?: Data; errors?: { message: string }[] }
  if (!answer.data || answer.errors?.length) throw new Error(answer.errors?.[0]?.message ?? 'No answer.')
  return answer.data
}

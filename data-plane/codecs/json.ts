/** An object that somebody else wrote, of which nothing is known yet: who reads a member checks it. */
// biome-ignore lint/suspicious/noExplicitAny: the narrowing of every member by hand would bury what a codec says
export type Json = Record<string, any>

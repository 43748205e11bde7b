/** While nothing changes, it is said again this often. */
const repeatMs = 30_000

/** Says a sentence at once when it is another one than before, else only every now and then. */
export function nowAndThen(say: (sentence: string) => void): (sentence: string) => void {
  let said = ''
  let untilMs = 0
  return (sentence) => {
    if (sentence === said && performance.now() < untilMs) return
    said = sentence
    untilMs = performance.now() + repeatMs
    say(sentence)
  }
}

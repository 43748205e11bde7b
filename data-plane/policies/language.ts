/** Longer texts are judged by their beginning. */
const charactersMax = 2_000

/**
 * The language of a text, ISO 639-1, by its script and, where many share one, by common words; null where that does not tell.
 * A guess that is good enough to choose a target by, and takes microseconds.
 */
export function languageOf(text: string): string | null {
  const start = text.slice(0, charactersMax)
  const letters = countOf(start, /\p{L}/gu)
  if (letters === 0) return null
  // Japanese is written with Han characters too, Ukrainian with mostly Russian letters: the particular comes first.
  if (countOf(start, /[\p{sc=Hiragana}\p{sc=Katakana}]/gu) > letters / 10) return 'ja'
  for (const [language, script] of scripts) if (countOf(start, script) > letters / 2) return language
  if (countOf(start, /\p{sc=Cyrillic}/gu) > letters / 2) return /[іїєґ]/i.test(start) ? 'uk' : 'ru'
  return countOf(start, /\p{sc=Latin}/gu) > letters / 2 ? byWords(start) : null
}

const scripts: readonly (readonly [string, RegExp])[] = [
  ['zh', /\p{sc=Han}/gu],
  ['ko', /\p{sc=Hangul}/gu],
  ['ar', /\p{sc=Arabic}/gu],
  ['he', /\p{sc=Hebrew}/gu],
  ['hi', /\p{sc=Devanagari}/gu],
  ['th', /\p{sc=Thai}/gu],
  ['el', /\p{sc=Greek}/gu],
]

const countOf = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0

/** Words that are common in one of these languages; what several share counts for each. */
const commonWords: Readonly<Record<string, string>> = {
  en: 'the and is are of to in that this it you for with what how please was have can be not from write my your',
  de: 'der die das und ist sind nicht ein eine einen ich du sie wir mit für auf zu den dem von wie was bitte kann im es auch',
  fr: 'le la les et est sont un une des du de je vous nous pour dans avec que qui pas ce cette comment quel sur au',
  es: 'el la los las y es son un una de del en que por para con no se cómo qué mi su este esta lo como está',
  it: 'il lo la gli le e è sono un una di del della in che per con non si come cosa mi questo questa ho al',
  pt: 'o a os as e é são um uma de do da em que por para com não se como você meu minha este esta no na',
  nl: 'de het een en is zijn niet ik je wij met voor op van te dat die dit wat hoe kan er naar deze mijn',
}

const languagesOf = new Map<string, string[]>()
for (const [language, words] of Object.entries(commonWords))
  for (const word of words.split(' ')) languagesOf.set(word, [...(languagesOf.get(word) ?? []), language])

/** Two hits at least, and more than any other language has. */
function byWords(text: string): string | null {
  const hits = new Map<string, number>()
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? [])
    for (const language of languagesOf.get(word) ?? []) hits.set(language, (hits.get(language) ?? 0) + 1)
  const [first, second] = [...hits].sort((a, b) => b[1] - a[1])
  return first && first[1] >= 2 && first[1] > (second?.[1] ?? 0) ? first[0] : null
}

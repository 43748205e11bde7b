import { describe, expect, it } from 'vitest'
import { languages } from '../../schema/config/index.ts'
import { languageOf } from './language.ts'
import { newestText } from './traits.ts'

const samples: Record<string, string> = {
  ar: 'ما هي عاصمة فرنسا؟',
  de: 'Wie kann ich den Vertrag kündigen, und was ist die Frist?',
  el: 'Ποια είναι η πρωτεύουσα της Γαλλίας;',
  en: 'What is the capital of France, and how do I get there?',
  es: '¿Cuál es la capital de Francia y cómo se llega por tren?',
  fr: 'Quelle est la capitale de la France, et comment y aller avec le train ?',
  he: 'מהי בירת צרפת?',
  hi: 'फ़्रांस की राजधानी क्या है?',
  it: 'Qual è la capitale della Francia e come si arriva con il treno?',
  ja: '日本の首都はどこですか。',
  ko: '프랑스의 수도는 어디입니까?',
  nl: 'Wat is de hoofdstad van Frankrijk en hoe kom ik er met het openbaar vervoer?',
  pt: 'Qual é a capital da França e como você vai para lá com o trem?',
  ru: 'Какой город столица Франции?',
  th: 'เมืองหลวงของฝรั่งเศสคืออะไร',
  uk: 'Яке місто є столицею Франції і чому?',
  zh: '法国的首都是哪里？',
}

describe('the language of a text', () => {
  it.each([...languages])('is told where it is %s', (language) => expect(languageOf(samples[language]!)).toBe(language))

  it('is not guessed where nothing tells', () => {
    for (const text of ['', '42', 'ok', 'SELECT id FROM t', '{"a":1}', '🙂🙂', 'xyzzy plugh'])
      expect([text, languageOf(text)]).toEqual([text, null])
  })

  it('is told by the beginning of a text, however long that is', () => {
    expect(languageOf(`${samples.de} `.repeat(40) + samples.en!.repeat(100_000))).toBe('de')
  })
})

describe('the newest text of a request', () => {
  it.each([
    [
      'OpenAI',
      {
        messages: [
          { role: 'user', content: 'old' },
          { role: 'user', content: 'new' },
        ],
      },
    ],
    [
      'OpenAI, in parts',
      {
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'new' }] },
          { role: 'assistant', content: 'x' },
        ],
      },
    ],
    ['OpenAI responses', { instructions: 'x', input: 'new' }],
    ['OpenAI responses, as items', { input: [{ role: 'user', content: [{ type: 'input_text', text: 'new' }] }] }],
    ['Gemini', { contents: [{ parts: [{ text: 'new' }] }] }],
    ['Bedrock', { messages: [{ role: 'user', content: [{ text: 'new' }] }] }],
    ['completions', { prompt: 'new' }],
  ])('is what %s has last of the user', (_, body) => expect(newestText(body)).toBe('new'))

  it('is empty where there is none', () => {
    for (const body of [null, {}, { messages: 7 }, { messages: [null, { role: 'tool', content: 'x' }] }])
      expect(newestText(body)).toBe('')
  })
})

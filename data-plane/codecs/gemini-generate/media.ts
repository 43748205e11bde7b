import { entryOf } from '../json.ts'

/** Formats of audio by their media types, as OpenAI and Google name them. */
const formats: Record<string, string> = {
  'audio/wav': 'wav',
  'audio/x-wav': 'wav',
  'audio/mp3': 'mp3',
  'audio/mpeg': 'mp3',
  'audio/aac': 'aac',
  'audio/flac': 'flac',
  'audio/ogg': 'ogg',
  'audio/opus': 'opus',
  'audio/aiff': 'aiff',
}
const types: Record<string, string> = { mp3: 'audio/mp3' }

export const audioFormat = (mediaType: string) => (Object.hasOwn(formats, mediaType) ? formats[mediaType] : undefined)
export const audioType = (format: string) => entryOf(types, format) ?? `audio/${format}`

/** Media types by the end of an address, where nothing else says what is there. */
const endings: Record<string, string> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  pdf: 'application/pdf',
  txt: 'text/plain',
}

export function typeOfAddress(url: string): string | undefined {
  const path = URL.parse(url)?.pathname ?? ''
  const ending = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  return Object.hasOwn(endings, ending) ? endings[ending] : undefined
}

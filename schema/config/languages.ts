/** Languages (ISO 639-1) that the gateway tells apart, by their scripts and their commonest words. */
export const languages = 'ar de el en es fr he hi it ja ko nl pt ru th uk zh'.split(' ')

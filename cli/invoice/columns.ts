/** `lineItem/UsageStartDate` and `line_item_usage_start_date` are one name; `Unrounded cost ($)` is `unroundedcost`. */
export const plainName = (title: string): string => title.toLowerCase().replace(/[^a-z0-9]/g, '')

/** The columns of a file by their titles, however those are written. */
export class Columns {
  readonly #places = new Map<string, number>()

  constructor(readonly titles: readonly string[]) {
    for (const [place, title] of titles.entries()) {
      const name = plainName(title)
      if (!this.#places.has(name)) this.#places.set(name, place)
    }
  }

  has(...titles: string[]): boolean {
    return titles.every((title) => this.#places.has(plainName(title)))
  }

  /** The first of these titles that there is. */
  first(...titles: string[]): string | undefined {
    return titles.find((title) => this.#places.has(plainName(title)))
  }

  cell(cells: readonly string[], title: string): string {
    const place = this.#places.get(plainName(title))
    return place === undefined ? '' : (cells[place] ?? '').trim()
  }
}

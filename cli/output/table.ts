export interface Column<Row> {
  title: string
  value: (row: Row) => string
  /** Numbers are read from the right. */
  align?: 'right'
}

/** Rows under their titles, two spaces apart. Terminal control characters in names are shown, never obeyed. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ value }) => plain(value(row))))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => widthOf(line[index]!))))
  const lines = cells.map((line) =>
    line
      .map((cell, index) => {
        const gap = ' '.repeat(widths[index]! - widthOf(cell))
        return columns[index]!.align === 'right' ? gap + cell : cell + gap
      })
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** Text that cannot move the cursor or change colours. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '�')
}

function widthOf(text: string): number {
  return Bun.stringWidth(text)
}

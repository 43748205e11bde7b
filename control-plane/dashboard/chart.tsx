import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { type Board, minuteMs, minutesShown } from './board.ts'

const height = 158

/** Cost per minute of the last hour. Amounts become floats here and nowhere else: pixels are not money. */
export function SpendChart({ board, version }: { board: Board; version: number }) {
  const holder = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)

  useEffect(() => {
    const element = holder.current!
    const make = () => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsFor(element), dataOf(board), element)
    }
    make()
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    scheme.addEventListener('change', make)
    return () => {
      scheme.removeEventListener('change', make)
      resized.disconnect()
      plot.current?.destroy()
      plot.current = null
    }
  }, [board])

  useEffect(() => plot.current?.setData(dataOf(board)), [board, version])
  return (
    <div class="chart">
      <h2>Per minute, last hour</h2>
      <div ref={holder} class="plot" role="img" aria-label="Cost per minute of the last hour" />
    </div>
  )
}

function dataOf(board: Board): uPlot.AlignedData {
  const series = board.series(Date.now())
  return [series.map(({ at }) => at / 1_000), series.map(({ tally }) => Number(tally.cost) / 1e12)]
}

function optionsFor(element: HTMLElement): uPlot.Options {
  const color = (name: string) => getComputedStyle(element).getPropertyValue(name).trim()
  const font = `11px ${getComputedStyle(element).fontFamily}`
  const axis = { stroke: color('--muted'), font, grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } }
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 0, 4],
    scales: {
      x: { time: true, range: () => rangeNow() },
      y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.15 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: (_plot, ticks) => ticks.map(hourAndMinute) },
      { ...axis, size: 58, space: 36, values: (_plot, ticks) => ticks.map(short) },
    ],
    series: [
      {},
      {
        fill: color('--accent-bar'),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars!({ size: [0.66, 18], radius: 0.3 }),
      },
    ],
  }
}

function rangeNow(): [number, number] {
  const last = Math.floor(Date.now() / minuteMs) * minuteMs
  return [(last - (minutesShown - 0.5) * minuteMs) / 1_000, (last + 0.5 * minuteMs) / 1_000]
}

const hourAndMinute = (seconds: number) =>
  new Date(seconds * 1_000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })

const short = (value: number) => (value === 0 ? '0' : Number(value.toPrecision(2)).toString())

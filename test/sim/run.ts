import { planOf } from './plan.ts'
import { runSchedule } from './world.ts'
const from = Number(process.argv[2] ?? 1), count = Number(process.argv[3] ?? 100)
const t = performance.now(); const errs = new Map<string, string[]>(); let steps = 0, bad = 0
const sum: any = {}
for (let s = from; s < from + count; s++) {
  try { const o: any = runSchedule(s); steps += o.steps; for (const q in o) sum[q] = (sum[q] ?? 0) + o[q] }
  catch (e: any) { bad++; const k = e.message.replace(/seed \d+ at [\d.]+ ms: /, '').replace(/[\d.]+/g, '#').slice(0, 70); errs.set(k, [...(errs.get(k) ?? []), e.message + ' [' + [...planOf(s).faults] + ']' + ' delay ' + planOf(s).delayMs + ' sync ' + planOf(s).syncMs + ' replicas ' + planOf(s).replicas]); if (count === 1) { const p = planOf(s); console.log(p, e) } }
}
const ms = performance.now() - t
console.log(`${count} schedules, ${bad} bad, ${(ms / count).toFixed(2)} ms each, ${(steps / count).toFixed(0)} steps`); console.log(sum)
for (const [k, m] of [...errs].sort((a, b) => b[1].length - a[1].length)) console.log(m.length, '|', m.slice(0, 5).map((x) => x.slice(0, 330)).join('\n      '))

// @ts-check
// What the homes tell of each page, as nbtasks/monitor makes it. Times are epoch seconds, what ends in `_s` is seconds. Types only.

/**
 * @typedef {Record<string, any>} Filters
 * @typedef {{ok: boolean, said: string, id?: string}} Answer
 * @typedef {"live" | "lost" | "ended"} HomeState
 *
 * Where a dashboard is shown: a cell of a notebook, or a page of its own.
 * @typedef {{
 *   ask(page: string | null, filters?: Filters | null): void, act(action: string, body: object): Promise<Answer>,
 *   onPage(callback: (page: string, data: any) => void): void, onState?(callback: (state: HomeState, text?: string) => void): void,
 *   close?(): void, readonly: boolean, title?: string, about?: string, ready?: Promise<void>,
 * }} Transport
 *
 * @typedef {{now: number, problem: string | null, more?: number}} Common
 * @typedef {{t: number, sent: number, started: number, succeeded: number, failed: number, retried: number, revoked: number}} Rate
 * @typedef {{task: string, sent: number, succeeded: number, failed: number, retried: number, revoked: number, running: number,
 *   mean_s: number | null, max_s: number | null}} TaskCounts
 * @typedef {{name: string, python: string, key: string, ours: boolean, waiting: number, running: number, delayed: number,
 *   oldest_s: number | null, workers: number, why: string | null}} QueueData
 * @typedef {{signature: string, task: string, count: number, last: number, example_id: string | null}} FailureData
 * @typedef {Common & {since: number | null, cut: boolean, rates: Rate[], totals: Record<string, number>, tasks: TaskCounts[],
 *   queues: QueueData[], workers: {n: number, children: number, busy: number, mismatched: number}, failures: FailureData[]}} OverviewData
 *
 * @typedef {{call: string, task: string, for_s: number}} ChildCall
 * @typedef {{number: number, pid: number, state: string, memory: number | null, calls: ChildCall[], more: number}} ChildData
 * @typedef {{id: string, name: string, host: string, pid: number, pool: string, queues: string[], concurrency: number, busy: number,
 *   slots: number, memory: number | null, cpu: number | null, versions: Record<string, string | null>, matches: boolean,
 *   mismatches: string[], started: number | null, seen: number, alive: boolean, draining: boolean, processed: number, failed: number,
 *   children: ChildData[]}} WorkerData
 * @typedef {{name: string, at: number, reason: string}} GoneData
 * @typedef {Common & {workers: WorkerData[], gone: GoneData[]}} WorkersData
 *
 * @typedef {{id: string, task: string, args: string, state: string, worker: string | null, queue: string, queued_at: number | null,
 *   started_at: number | null, ended_at: number | null, runtime_s: number | null, retries: number, error: string | null,
 *   client: string | null, note: string | null}} CallRow
 * @typedef {Common & {rows: CallRow[], total: number, kept: number, seen: number, since: number | null, filters: Filters,
 *   tasks: string[], workers: string[], states: string[], next: string | null}} TasksData
 *
 * @typedef {{n: number, worker: string | null, started: number | null, ended: number | null, error: string | null}} Attempt
 * @typedef {Common & {id: string, found: boolean, task: string, state: string, queue: string, worker: string | null, child: number | null,
 *   client: string | null, queued_at: number | null, started_at: number | null, ended_at: number | null, runtime_s: number | null,
 *   note: string | null, retries: number, args: string, kwargs: string, why: string | null, attempts: Attempt[],
 *   output: {stream: string, text: string}[], result: string | null, result_note: string | null, error: string | null,
 *   traceback: string | null, events: {t: number, type: string, worker: string | null}[], actions: string[]}} CallData
 *
 * @typedef {[begin: number, end: number | null, state: string, id: string, task: string]} BarData
 * @typedef {{worker: string, child: number | null, slot?: number, bars: BarData[]}} LaneData
 * @typedef {Common & {from: number, to: number, lanes: LaneData[]}} TimelineData
 *
 * @typedef {{name: string, schedule: string, task: string, queue: string, calls: number, next: number | null, paused: boolean,
 *   count: number, skipped: number, missed: number, runs: {due: number, id: string, state: string}[], ends_with: string,
 *   owner: string, coded: number | null}} ScheduleData
 * @typedef {Common & {schedules: ScheduleData[]}} SchedulesData
 *
 * @typedef {{call: string | null, title: string, worker: string | null, since_s: number | null}} HolderData
 * @typedef {{id: string, name: string, kind: string, capacity: number, count: number, waiting: number, holders: HolderData[]}} LockData
 * @typedef {{task: string, rate: string | null, hard_s: number | null, soft_s: number | null}} LimitData
 * @typedef {Common & {locks: LockData[], limits: LimitData[]}} LocksData
 *
 * @typedef {{t: number, commands: number | null, memory: number | null, clients: number}} BrokerMoment
 * @typedef {Common & {kind: string, version: string, address: string, namespace: string, embedded: boolean, uptime_s: number,
 *   memory: number | null, peak: number | null, limit: number, policy: string, clients: number, blocked_clients: number, commands_per_s: number | null,
 *   commands: number, keys: number, input_kbps: number | null, output_kbps: number | null, latency_s: number, clock_offset_s: number, role: string,
 *   persistence: Record<string, any>, ops: BrokerMoment[]}} BrokerData
 */

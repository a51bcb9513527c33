const INTERVAL = 2000, KEPT = 600e3;
let samples = [], before = null, stoppedSince = null, slotsSeen = null, checkpoints = [], checkpointsSeen = null;

const drawTps = makeChart(byId("tps"), [{ className: "first", name: "commits/s", of: sample => sample.commits_per_second }], rate);
const drawLatency = makeChart(byId("latency"), [
  { className: "first", name: "p50", of: sample => sample.commit_p50_micros },
  { className: "second", name: "p99", of: sample => sample.commit_p99_micros },
], micros);

/** `null` before the second look. */
const perSecond = (now, then, seconds) => then !== undefined && seconds > 0 ? Math.max(0, now - then) / seconds : null;
const reads = shard => shard.reads_from_memory + shard.reads_from_row_cache + shard.reads_from_engine;

function definitions(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value, className = ""]) => [element("dt", "", name), element("dd", className, value)]));
}

/** A bar of one or more parts of a whole. */
function bar(whole, ...parts) {
  const made = element("div", "bar");
  for (const [value, className] of parts) {
    const part = element("i", className);
    part.style.width = `${whole > 0 ? Math.min(100, 100 * value / whole) : 0}%`;
    made.append(part);
  }
  return made;
}

function meter(name, value, whole, parts, note) {
  return element("div", "meter", element("p", "", element("span", "", name), element("span", "", `${bytes(value)} of ${bytes(whole)}`)), bar(whole, ...parts), element("small", "", note));
}

function showTiles(status, newest, end) {
  const last = status.checkpoints.newest;
  const flushed = Math.min(...status.shards.map(shard => shard.flushed_version));
  const tiles = [
    [status.head ? count(status.head.height) : UNKNOWN, "height"],
    [newest ? rate(newest.commits_per_second) : UNKNOWN, "commits/s"],
    [newest ? micros(newest.commit_p99_micros) : UNKNOWN, "commit p99"],
    [bytes(sum(status.shards, shard => shard.file_bytes)), "shards on disk"],
    [`${(100 * status.memory_bytes / status.memory_budget_bytes).toFixed(0)} %`, "of memory budget"],
    [count(status.version - flushed), "unflushed versions"],
    [count(status.open_snapshots), "open snapshots"],
    last ? [ago(end - last.created_ms).replace(" ago", ""), "since a checkpoint"] : [UNKNOWN, "no checkpoint yet"],
  ];
  byId("tiles").replaceChildren(...tiles.map(([value, name]) => element("div", "tile", element("b", "", value), element("span", "", name))));
}

function showPanels(status, seconds) {
  const unflushed = sum(status.shards, shard => shard.unflushed_bytes);
  const full = status.memory_bytes > status.memory_budget_bytes ? "full" : "";
  const meters = [meter("memtables", status.memory_bytes, status.memory_budget_bytes, [[unflushed, full], [status.memory_bytes - unflushed, "soft"]], `${bytes(unflushed)} not flushed`)];
  if (status.row_cache) meters.push(meter("row cache", status.row_cache.bytes, status.row_cache.capacity_bytes, [[status.row_cache.bytes, ""]], `${count(status.row_cache.rows)} rows`));
  meters.push(element("p", "meter", `block cache ${bytes(status.block_cache_bytes)}`));
  byId("memory").replaceChildren(...meters);
  const log = status.log, then = before?.status;
  const waited = perSecond(status.memory_wait_micros, then?.memory_wait_micros, seconds);
  const written = log && perSecond(log.appended_bytes, then?.log?.appended_bytes, seconds);
  definitions(byId("log"), [
    ...(log ? [
      ["records", `${bytes(log.used_bytes)} in ${count(log.segments)} segment${log.segments === 1 ? "" : "s"}`],
      ["on disk", bytes(log.bytes)],
      ["written", written === null ? UNKNOWN : `${bytes(written)}/s`],
      ["syncs", perSecondText(perSecond(log.syncs, then?.log?.syncs, seconds))],
    ] : [["log", "none: the store lives in memory"]]),
    ["waiting for memory", waited === null ? UNKNOWN : waited > 0 ? `${digits(waited / 1e6)} at a time` : "none"],
    ["flushes", `${count(status.flush.flushes)}, ${bytes(status.flush.bytes)}`],
    ["failed flushes", count(status.flush_failures)],
  ]);
  definitions(byId("versions"), [
    ["newest", count(status.version)],
    ["flushed", count(Math.min(...status.shards.map(shard => shard.flushed_version)))],
    ["oldest readable", count(status.floor)],
    ["oldest snapshot", status.oldest_snapshot === null ? "none" : `${count(status.oldest_snapshot)}, held ${micros(status.snapshot_held_micros)}`],
    ["newest block", status.head ? date(status.head.timestamp_ms) : "none yet"],
    ["transactions", `${count(status.transactions_committed)}, ${count(status.conflicts)} conflicts`],
  ]);
}

const HOLDS = {
  snapshot: hold => `a snapshot at ${count(hold.version)}`,
  reorg_window: hold => `the newest ${count(hold.blocks)} blocks`,
  newest: () => "the newest state",
  rollback: hold => `a rollback to ${count(hold.to)}`,
  rebalance: () => "a rebalancing",
};

function showPruning({ prune, prune_micros }, end) {
  const progress = prune.progress, runs = prune_micros.counts.reduce((all, one) => all + one, 0);
  definitions(byId("pruning"), [
    ["pruned", prune.background ? "by itself" : "by hand only"],
    ["since the start", `${count(prune.runs)} run${prune.runs === 1 ? "" : "s"}`],
    ...(prune.versions ? [["removed", `${count(prune.versions)} versions, ${bytes(prune.bytes)}`]] : []),
    ...(runs ? [["took", `${micros(prune_micros.sum / runs)} on average`]] : []),
    ["behind", prune.lag_blocks || prune.lag_versions ? `${count(prune.lag_blocks)} blocks, ${count(prune.lag_versions)} versions` : "no"],
    ["held back by", prune.held_back ? HOLDS[prune.held_back.by]?.(prune.held_back) ?? prune.held_back.by : "nothing"],
    ...(prune.failure ? [["failed", prune.failure, "bad"]] : []),
  ]);
  if (!progress) return byId("pruning-progress").replaceChildren();
  const left = progress.remaining_ms === null ? "" : `${micros(progress.remaining_ms * 1e3)} left, until ${clock(end + progress.remaining_ms)}`;
  const line = element("p", "", element("span", "", `${(100 * progress.fraction).toFixed(0)} %, ${count(progress.versions)} versions`), element("span", "", left));
  byId("pruning-progress").replaceChildren(element("div", "meter", line, bar(1, [progress.fraction, ""])));
}

/** Whether slots are on their way. */
const isMoving = ({ under_way: now }) => now !== null && ["copying", "handing_over"].includes(now.phase);

const PHASES = {
  copying: now => now.waits_for_compaction ? "waits for compaction" : "copying",
  handing_over: () => "handing over",
  waiting_for_readers: now => `waits for ${count(now.older_readers)} reader${now.older_readers === 1 ? "" : "s"}`,
  cleaning: () => "cleaning up",
  removing: () => "removing shards",
};
const GIVEN_UP = { cleaning: "what was copied is removed", removing: "new shards are removed" };

function showRebalancing({ runs, failed, slots, bytes: copied, last, barrier_micros_max: pause, under_way: now }, end) {
  const phase = now && ((now.aborted ? GIVEN_UP[now.phase] : undefined) ?? PHASES[now.phase]?.(now) ?? now.phase), copying = now?.phase === "copying";
  definitions(byId("rebalancing"), now ? [
    ["now", now.aborted ? `given up: ${phase}` : phase],
    ...(now.failure ? [["stopped", now.failure, "bad"]] : []),
    // Of one that was given up, or is at its end, none are on their way.
    ...(now.slots ? [["slots handed over", `${count(now.slots_done)} of ${count(now.slots)}`]] : []),
    ["shards in the end", count(now.shards_after)],
    ...(now.rows_copied ? [["copied", `${bytes(now.bytes_copied)}, ${count(now.rows_copied)} rows`]] : []),
    ...(copying ? [["rate", `${bytes(now.bytes_per_sec)}/s${now.bytes_per_sec_max === null ? "" : `, at most ${bytes(now.bytes_per_sec_max)}/s`}`]] : []),
    ...(now.barrier_micros_max ? [["longest pause", micros(now.barrier_micros_max)]] : []),
  ] : [
    ["now", "none"],
    ["since the start", `${count(runs)} run${runs === 1 ? "" : "s"}${failed ? `, stopped ${count(failed)} times` : ""}`],
    ...(slots ? [["moved", `${count(slots)} slots, ${bytes(copied)}`], ["longest pause", micros(pause)]] : []),
    ...(last ? [["last one took", micros(last.micros)]] : []),
  ]);
  if (!now || now.aborted || !copying && !now.failure) return byId("rebalancing-progress").replaceChildren();
  const left = now.remaining_ms === null || now.failure ? "" : `${micros(now.remaining_ms * 1e3)} left, until ${clock(end + now.remaining_ms)}`;
  const line = element("p", "", element("span", "", `${(100 * now.fraction).toFixed(0)} % copied`), element("span", "", left));
  byId("rebalancing-progress").replaceChildren(element("div", "meter", line, bar(1, [now.fraction, now.failure ? "full" : ""])));
}

/** The newest few, newest first. */
function showCheckpoints(made, list, end) {
  const sound = list.filter(checkpoint => !checkpoint.damage), damaged = list.length - sound.length;
  byId("checkpoints-caption").textContent = list.length ? count(list.length) : "";
  definitions(byId("checkpoint"), [
    ["newest", made.newest ? ago(end - made.newest.created_ms) : "none"],
    ["took", made.made ? micros(made.last_duration_ms * 1e3) : UNKNOWN],
    ["longest commit meanwhile", micros(made.last_longest_commit_micros)],
    ...(damaged ? [["damaged", count(damaged), "bad"]] : []),
    ...(made.last_failure ? [["failed", made.last_failure, "bad"]] : []),
  ]);
  byId("checkpoints").replaceChildren(...sound.slice(-3).reverse().map(checkpoint => {
    const at = checkpoint.block ? `height ${count(checkpoint.block.height)}` : `version ${count(checkpoint.version)}`;
    return element("li", "", element("b", "", checkpoint.name), element("span", "dim", `${at}, ${bytes(checkpoint.bytes)}, ${ago(end - checkpoint.created_ms)}`));
  }));
}

function showShards(status, seconds) {
  const names = [...document.querySelectorAll("#shards th")].map(cell => cell.textContent);
  const load = (shard, of) => {
    const then = before?.status.shards[shard.number];
    return perSecond(of(shard), then && of(then), seconds);
  };
  const largest = Math.max(...status.shards.map(shard => shard.file_bytes));
  const busiest = Math.max(...status.shards.map(shard => load(shard, s => s.writes)));
  const rows = status.shards.map(shard => {
    const chip = element("span", "chip");
    chip.style.background = colour(shard.number);
    const writes = load(shard, s => s.writes), engine = shard.engine;
    const asked = engine ? engine.block_cache_hits + engine.block_cache_misses : 0;
    const cells = [
      [[chip, String(shard.number)]], [[count(shard.slots)]],
      [[bytes(shard.file_bytes), bar(largest, [shard.file_bytes, ""])]], [[rate(writes), bar(busiest, [writes, ""])]], [[rate(load(shard, reads))]],
      [[count(shard.level0_files)], shard.level0_files > 10 ? "bad" : shard.level0_files >= 8 ? "warm" : ""], [[bytes(shard.pending_compaction_bytes)]],
      [[bytes(shard.unflushed_bytes)]],
      [[asked ? `${(100 * engine.block_cache_hits / asked).toFixed(0)} %` : UNKNOWN]],
      [[engine ? micros(engine.write_stall_micros) : UNKNOWN], engine?.write_stall_micros > 1e6 ? "bad" : ""],
    ];
    const row = element("tr", "");
    cells.forEach(([content, className], at) => {
      const cell = element("td", className, ...content);
      cell.dataset.name = names[at];
      row.append(cell);
    });
    return row;
  });
  document.querySelector("#shards tbody").replaceChildren(...rows);
}

function showOperations(list) {
  byId("operations-card").hidden = list.length === 0;
  byId("operations").replaceChildren(...list.slice(-8).reverse().map(operation => {
    const { done, total } = operation.progress;
    const share = total > 0 ? `, ${(100 * done / total).toFixed(0)} %` : "";
    const said = value => typeof value === "object" ? JSON.stringify(value).slice(0, 80) : value;
    const isSaid = value => value !== false && value !== null && !["[]", "{}"].includes(JSON.stringify(value));
    const told = Object.entries(operation.settings ?? {}).filter(([, value]) => isSaid(value)).map(([name, value]) => value === true ? name : `${name} ${said(value)}`);
    const how = { running: `running${share}`, done: "done", failed: `failed: ${operation.error}` }[operation.state];
    return element("li", "", element("b", "", [operation.action, ...told].join(", ")), `: ${how}, ${micros(operation.elapsed_ms * 1e3)}`);
  }));
}

function say(state, className, banner, bannerClass = "") {
  byId("state").textContent = state;
  byId("state").className = `pill ${className}`;
  byId("banner").hidden = !banner;
  byId("banner").className = bannerClass;
  if (byId("banner").textContent !== banner) byId("banner").textContent = banner;
  document.body.classList.toggle("stopped", state === "stopped");
}

function showCondition({ writable, reason }, rebalance) {
  const stuck = rebalance?.under_way?.failure;
  stoppedSince = null;
  if (!writable) say("read-only", "bad", `The store takes no commits: ${reason ?? "it is closed"}`);
  else if (reason) say("flushes fail", "warm", `Flushes fail; commits are taken until memory is full: ${reason}`, "warm");
  else if (stuck) say("move stopped", "warm", `The rebalancing has stopped: ${stuck}. Nothing is lost; resume it, or abort it.`, "warm");
  else say("running", "good", "");
}

/** A node that answers late is not stopped, but nobody should take old figures for new ones. */
async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return answer.json();
}

async function update() {
  const now = Date.now();
  try {
    const [status, news, { operations }] = await Promise.all([ask("/status"), ask(`/history?since=${samples.at(-1)?.time_ms ?? 0}`), ask("/operations")]);
    const slotsNow = JSON.stringify([status.slot_map_epoch, isMoving(status.rebalance), status.shards.length]);
    if (slotsSeen !== slotsNow) {
      drawSlots(byId("slots"), await ask("/slot-map"));
      slotsSeen = slotsNow;
    }
    const { kept, made, newest: last } = status.checkpoints, seen = JSON.stringify([kept, made, last]);
    if (checkpointsSeen !== seen) {
      checkpoints = await ask("/checkpoints");
      checkpointsSeen = seen;
    }
    // The node's clock may not be ours: its newest sample is now.
    samples = [...samples, ...news.samples];
    const newest = samples.at(-1), end = newest?.time_ms ?? now;
    samples = samples.filter(sample => sample.time_ms > end - KEPT);
    const seconds = before ? (performance.now() - before.at) / 1000 : 0;
    byId("dir").textContent = status.dir ?? "in memory";
    showCondition(status.condition, status.rebalance);
    showTiles(status, newest, end);
    showPanels(status, seconds);
    showPruning(status, end);
    showRebalancing(status.rebalance, end);
    showCheckpoints(status.checkpoints, checkpoints, end);
    showShards(status, seconds);
    showOperations(operations);
    drawTps(end, samples);
    drawLatency(end, samples);
    byId("tps-now").textContent = perSecondText(newest?.commits_per_second);
    byId("latency-now").replaceChildren(element("i", "key first"), `p50 ${micros(newest?.commit_p50_micros)}  `, element("i", "key second"), `p99 ${micros(newest?.commit_p99_micros)}`);
    byId("updated").textContent = `updated ${clock(now)}`;
    document.title = `${rate(newest?.commits_per_second)} commits/s · Shingle`;
    before = { at: performance.now(), status };
  } catch (error) {
    stoppedSince ??= now;
    const old = before ? " What is below is as it was then." : "";
    say("stopped", "bad", `The node does not answer since ${clock(stoppedSince)} (${error.message}).${old}`);
    document.title = "stopped · Shingle";
  }
  setTimeout(update, INTERVAL);
}

update();

/** A chart of the last minutes: lines over time, drawn into `place`. `lines` are {className, of, name}, the first one with its area. */
function makeChart(place, lines, show) {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 1000, HEIGHT = 100, SPAN = 600e3;
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  const add = (name, className) => {
    const made = document.createElementNS(SVG, name);
    made.setAttribute("class", className);
    drawing.append(made);
    return made;
  };
  const grid = [0, 1, 2].map(() => add("line", "grid"));
  const area = add("path", "area");
  const paths = lines.map(line => add("path", line.className));
  const cursor = add("line", "cursor");
  const label = () => place.appendChild(document.createElement("small"));
  const marks = [0, 1, 2].map(label), from = label(), until = label(), tip = label();
  tip.className = "tip";
  tip.hidden = true;
  place.prepend(drawing);
  marks.forEach((mark, row) => { mark.className = "mark"; mark.style.top = `calc((100% - 20px) * ${row / 2} - 8px)`; });
  from.className = "from";
  until.className = "until";
  let samples = [], start = 0, end = 1, top = 1;

  const x = time => WIDTH * (time - start) / (end - start);
  const y = value => HEIGHT - HEIGHT * value / top;
  /** The next of 1, 2, 5, 10, 20, 50…: a scale that does not jump with each sample. */
  const roundUp = value => {
    const power = 10 ** Math.floor(Math.log10(value));
    return power * [1, 2, 5, 10].find(step => step * power >= value);
  };
  /** Where nothing was measured, the line is broken. */
  const pieces = of => {
    const found = [];
    let last = -Infinity;
    for (const sample of samples.filter(sample => of(sample) !== null)) {
      if (sample.time_ms - last > 5e3) found.push([]);
      found.at(-1).push([x(sample.time_ms).toFixed(1), y(of(sample)).toFixed(2)]);
      last = sample.time_ms;
    }
    return found;
  };
  const outline = piece => piece.map(point => point.join(" ")).join("L");
  const lineOf = piece => `M${outline(piece)}h.01`;
  const areaOf = piece => `M${piece[0][0]} ${HEIGHT}L${outline(piece)}V${HEIGHT}z`;

  function draw(now, all) {
    [samples, end] = [all, now];
    const oldest = samples.length ? samples[0].time_ms : now;
    start = Math.max(now - SPAN, Math.min(oldest, now - 60e3));
    samples = samples.filter(sample => sample.time_ms >= start);
    const highest = Math.max(0, ...samples.flatMap(sample => lines.map(line => line.of(sample) ?? 0)));
    top = highest > 0 ? roundUp(highest * 1.05) : 1;
    lines.forEach((line, at) => paths[at].setAttribute("d", pieces(line.of).map(lineOf).join("")));
    area.setAttribute("d", pieces(lines[0].of).map(areaOf).join(""));
    grid.forEach((line, row) => {
      for (const [name, value] of [["x1", 0], ["x2", WIDTH], ["y1", row * HEIGHT / 2], ["y2", row * HEIGHT / 2]]) line.setAttribute(name, value);
      // Where all is nothing there is no scale.
      marks[row].textContent = row === 2 ? "0" : highest > 0 ? show(top * (2 - row) / 2) : "";
    });
    from.textContent = clock(start);
    until.textContent = clock(end);
    const newest = samples.at(-1);
    drawing.setAttribute("aria-label", newest ? lines.map(line => `${line.name} ${show(line.of(newest) ?? 0)}`).join(", ") : "no samples yet");
  }

  place.addEventListener("pointermove", event => {
    const box = drawing.getBoundingClientRect();
    const time = start + (end - start) * (event.clientX - box.left) / box.width;
    const nearest = samples.reduce((best, sample) => Math.abs(sample.time_ms - time) < Math.abs((best?.time_ms ?? -1e15) - time) ? sample : best, null);
    if (!nearest) return;
    const at = x(nearest.time_ms);
    for (const [name, value] of [["x1", at], ["x2", at], ["y1", 0], ["y2", HEIGHT]]) cursor.setAttribute(name, value);
    tip.textContent = clock(nearest.time_ms) + lines.map(line => `\n${line.name} ${line.of(nearest) === null ? UNKNOWN : show(line.of(nearest))}`).join("");
    tip.hidden = false;
    tip.style.left = `min(${box.left - place.getBoundingClientRect().left + at / WIDTH * box.width + 8}px, calc(100% - 130px))`;
  });
  place.addEventListener("pointerleave", () => { tip.hidden = true; cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9); });
  return draw;
}

/** Runs of shards and numbers of slots as a list of shards, by slot. */
const shardOfSlots = ({ runs }) => runs.flatMap(([shard, run]) => Array(run).fill(shard));

/** The slots as a picture, row by row, each in the colour of its shard; what is on its way shows where to. */
function drawSlots(canvas, map) {
  const owners = shardOfSlots(map), goals = map.next ? shardOfSlots(map.next) : owners;
  const slots = owners.length;
  const moving = sum(owners, (owner, slot) => owner === goals[slot] ? 0 : 1);
  // Halves of cells need larger ones; where there is little room, rows take the place of columns.
  const flatness = canvas.clientWidth < 600 ? 2 : moving ? 4 : 8;
  const columns = Math.min(256, 2 ** Math.ceil(Math.log2(Math.sqrt(slots * flatness))));
  const rows = Math.ceil(slots / columns);
  const cell = Math.max(1, Math.floor(1280 / columns));
  const gap = cell > 3 ? 1 : 0;
  [canvas.width, canvas.height] = [columns * cell, rows * cell];
  const pen = canvas.getContext("2d");
  const side = cell - gap;
  owners.forEach((owner, slot) => {
    const x = slot % columns * cell, y = Math.floor(slot / columns) * cell, goal = goals[slot];
    pen.globalAlpha = moving && goal === owner ? .4 : 1;
    pen.fillStyle = colour(owner);
    pen.fillRect(x, y, side, side);
    if (goal === owner) return;
    // The upper left half is where it is, the lower right one where it goes.
    pen.fillStyle = colour(goal);
    pen.beginPath();
    pen.moveTo(x + side, y);
    pen.lineTo(x + side, y + side);
    pen.lineTo(x, y + side);
    pen.fill();
  });
  byId("slot").textContent = moving ? "on their way: where it is in the upper left, where it goes in the lower right" : "\u00a0";
  canvas.onpointermove = event => {
    const box = canvas.getBoundingClientRect();
    const at = Math.floor((event.clientY - box.top) / box.height * rows) * columns + Math.floor((event.clientX - box.left) / box.width * columns);
    const way = goals[at] === owners[at] ? "" : `, on its way to shard ${goals[at]}`;
    byId("slot").textContent = at < slots ? `slot ${count(at)}: shard ${owners[at]}${way}` : "\u00a0";
  };
  const onTheirWay = moving ? `, ${count(moving)} on their way` : "";
  byId("slots-caption").textContent = `${count(slots)} over ${count(new Set(owners).size)} shards, version ${map.epoch} of the slot map${onTheirWay}`;
}

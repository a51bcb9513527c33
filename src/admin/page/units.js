"use strict";
const byId = id => document.getElementById(id);

/** An element with a class and what stands in it: text, or other elements. Nothing that the server says is read as HTML. */
function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

const sum = (list, of) => list.reduce((all, item, at) => all + of(item, at), 0);

const digits = value => value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const count = value => Math.round(value).toLocaleString("en").replaceAll(",", " ");

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return (unit ? digits(value) : value.toFixed(0)) + " " + units[unit];
}

/** What is not known yet, because it takes two looks, is no zero. */
const UNKNOWN = "–";

function rate(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value >= 1e6) return digits(value / 1e6) + " M";
  if (value >= 1e4) return digits(value / 1e3) + " k";
  return value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}

const perSecondText = value => value === null || value === undefined ? UNKNOWN : `${rate(value)}/s`;

function micros(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value >= 60e6) return digits(value / 60e6) + " min";
  if (value >= 1e6) return digits(value / 1e6) + " s";
  return value >= 1e3 ? digits(value / 1e3) + " ms" : value.toFixed(0) + " µs";
}

const ago = milliseconds => {
  const [value, unit] = [[864e5, "d"], [36e5, "h"], [6e4, "min"], [1e3, "s"]].find(([one]) => milliseconds >= 2 * one) ?? [1e3, "s"];
  return `${Math.floor(Math.max(0, milliseconds) / value)} ${unit} ago`;
};

/** As the command tells times: the same for whoever looks, wherever. */
const clock = time => `${new Date(time).toISOString().slice(11, 19)} UTC`;
const date = time => `${new Date(time).toISOString().slice(0, 10)} ${clock(time)}`;

/** Neighbouring shards differ in colour, however many there are. */
const colour = shard => `hsl(${(225 + shard * 137.508) % 360} 62% ${[56, 66, 46][shard % 3]}%)`;

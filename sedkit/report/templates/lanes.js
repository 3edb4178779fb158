"use strict";
// Of a clip: spectrogram, events in lanes, and score curves, drawn over the same seconds.
const SVG = "http://www.w3.org/2000/svg";
const colour = (k) => getComputedStyle(document.documentElement).getPropertyValue(`--s${k}`).trim();
const letter = (k) => String.fromCharCode(65 + k);

function element(tag, attributes, text, parent) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

function pattern(k, defs) {
  const made = element("pattern", { id: `hatch${k}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, undefined, defs);
  element("rect", { width: 6, height: 6, fill: "#fff" }, undefined, made);
  const lines = ["M-1 7L7 -1M-1 1L1 -1M5 7L7 5", "M-1 -1L7 7M5 -1L7 1M-1 5L1 7", "M0 3H6", "M3 0V6"][k % 4];
  element("path", { d: lines, stroke: colour(k), "stroke-width": 1.7 }, undefined, made);
}

// A class's name on two lines at most, which is what there is room for.
function wrapped(name, most) {
  const lines = [""];
  for (const word of name.split(" ")) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (longer.length <= most || lines[lines.length - 1] === "") lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const cut = lines.length > 2 ? [lines[0], lines.slice(1).join(" ")] : lines;
  return cut.map((line) => (line.length > most ? `${line.slice(0, most - 1)}…` : line));
}

function ticks(seconds, width) {
  const most = Math.max(2, Math.floor(width / 60));
  const size = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800].find((s) => seconds / s <= most) || 3600;
  return Array.from({ length: Math.floor(seconds / size + 1e-9) + 1 }, (_, i) => Number((i * size).toFixed(3)));
}

// Draws a clip of a set into an SVG of some width; returns where its seconds lie in it.
function drawClip(lanes, clip, media, set, names, width) {
  const systems = names.length, gutter = width < 560 ? 92 : 156;
  const plot = { left: gutter, right: width - 8, seconds: Math.max(clip.seconds, 0.01) };
  const x = (t) => plot.left + (Math.min(Math.max(t, 0), plot.seconds) / plot.seconds) * (plot.right - plot.left);
  lanes.replaceChildren();
  const defs = element("defs", {}, undefined, lanes);
  names.forEach((_, k) => pattern(k, defs));
  let y = 4;
  const background = element("g", {}, undefined, lanes);

  if (media && media.image) {
    const height = 150, end = plot.left + (media.image_s / plot.seconds) * (plot.right - plot.left);
    const cut = element("clipPath", { id: "plot" }, undefined, defs);
    element("rect", { x: plot.left, y, width: plot.right - plot.left, height }, undefined, cut);
    element("image", {
      href: `data:image/png;base64,${media.image}`, x: plot.left, y, width: end - plot.left, height,
      preserveAspectRatio: "none", "clip-path": "url(#plot)",
    }, undefined, lanes);
    for (const [hz, place] of set.marks) {
      const at = y + (1 - place) * height;
      element("line", { x1: plot.left - 4, x2: plot.left, y1: at, y2: at, stroke: "#5b656d" }, undefined, lanes);
      const said = hz >= 1000 ? `${hz / 1000} kHz` : `${hz} Hz`;
      element("text", { x: plot.left - 7, y: at + 3.5, "text-anchor": "end", class: "quiet" }, said, lanes);
    }
    y += height + 10;
  }

  const curves = media ? media.curves : [];
  const shown = set.labels.map((name, label) => ({ name, label })).filter(({ label }) =>
    (clip.truth || []).some((e) => e[0] === label) ||
    clip.systems.some((of) => of && of.events.some((e) => e[0] === label)) ||
    curves.some((of) => of && of.labels.includes(label)));
  const bar = 11, gap = 2;
  for (const { name, label } of shown) {
    const top = y;
    const drawLane = (events, look) => {
      for (const event of events.filter((e) => e[0] === label)) {
        const { text, ...attributes } = look(event);
        const x1 = x(event[1]), x2 = x(event[2]);
        const rect = element("rect", { x: x1, y, width: Math.max(x2 - x1, 1.5), height: bar, ...attributes }, undefined, lanes);
        element("title", {}, `${name}, ${event[1].toFixed(2)}–${event[2].toFixed(2)} s, ${text}`, rect);
      }
    };
    const ofLabel = (events) => events.some((e) => e[0] === label);
    const eventful = ofLabel(clip.truth || []) || clip.systems.some((of) => of && ofLabel(of.events));
    if (clip.truth && eventful) {
      drawLane(clip.truth, () => ({ fill: "#3c4043", text: "true event", class: "truth" }));
      element("text", { x: plot.left - 7, y: y + 9, "text-anchor": "end", class: "quiet" }, "true", lanes);
      y += bar + gap;
    }
    clip.systems.forEach((of, k) => {
      if (!of || !eventful) return;
      drawLane(of.events, (event) => {
        const known = of.detected !== null, correct = known && event[3];
        return {
          fill: correct || !known ? colour(k) : `url(#hatch${k})`, stroke: colour(k),
          text: `${names[k]}: ${known ? (correct ? "correct" : "false") : "detected"}`,
          class: correct || !known ? "correct" : "false",
        };
      });
      if (of.detected) {
        const lost = clip.truth.filter((_, i) => !of.detected[i]);
        drawLane(lost, () => ({
          fill: "none", stroke: "#000", "stroke-width": 1.2, "stroke-dasharray": "3 2", class: "missed",
          text: `${names[k]}: missed`,
        }));
      }
      element("text", { x: plot.left - 7, y: y + 9, "text-anchor": "end", class: "quiet" }, systems > 1 ? letter(k) : "detected", lanes);
      y += bar + gap;
    });
    const strips = curves.map((of, k) => ({ of, k })).filter(({ of }) => of && of.labels.includes(label));
    if (strips.length) {
      const height = 34, base = y + height;
      element("line", { x1: plot.left, x2: plot.right, y1: base, y2: base, stroke: "#9aa3aa", "stroke-width": 0.6 }, undefined, lanes);
      for (const { of, k } of strips) {
        const points = of.edges_s.length - 1, row = of.labels.indexOf(label);
        of.bytes ||= bytes(of.levels);
        let path = "";
        for (let i = 0; i < points; i++) {
          const at = (base - (of.bytes[row * points + i] / 255) * height).toFixed(1);
          path += `${i ? "L" : "M"}${x(of.edges_s[i]).toFixed(1)} ${at}H${x(of.edges_s[i + 1]).toFixed(1)}`;
        }
        const zero = (base + (of.low / (of.high - of.low)) * height).toFixed(1);
        element("path", { d: `${path}V${zero}H${x(of.edges_s[0]).toFixed(1)}Z`, fill: colour(k), "fill-opacity": 0.16, stroke: "none" }, undefined, lanes);
        element("path", {
          d: path, fill: "none", stroke: colour(k), "stroke-width": 1.3, class: "curve",
          "stroke-dasharray": ["none", "5 2", "6 2 1 2", "1.5 2"][k % 4],
        }, undefined, lanes);
      }
      const { low, high } = strips[0].of;
      if (systems < 2 || low < 0 || high !== 1)
        element("text", { x: plot.left - 7, y: y + 9, "text-anchor": "end", class: "quiet" }, String(Number(high.toFixed(1))), lanes);
      y += height + gap;
    }
    const title = element("text", { x: 0, y: top + 9.5 }, undefined, lanes);
    wrapped(name, Math.floor((gutter - 38) / 5.6)).forEach((line, i) =>
      element("tspan", { x: 0, dy: i ? 12 : 0 }, line, title));
    element("title", {}, name, title);
    y += 8;
    element("line", { x1: 0, x2: plot.right, y1: y - 5, y2: y - 5, class: "grid" }, undefined, background);
  }
  if (!shown.length) {
    element("text", { x: plot.left, y: y + 12 }, "no events, and no high scores", lanes);
    y += 24;
  }
  for (const t of ticks(plot.seconds, plot.right - plot.left)) {
    element("line", { x1: x(t), x2: x(t), y1: 4, y2: y, class: "grid" }, undefined, background);
    element("text", { x: x(t), y: y + 12, "text-anchor": "middle", class: "quiet" }, t, lanes);
  }
  element("text", { x: 0, y: y + 12, class: "quiet" }, "seconds", lanes);
  for (const kind of ["halo", "cursor"]) element("line", { x1: plot.left, x2: plot.left, y1: 4, y2: y, class: kind }, undefined, lanes);
  lanes.setAttribute("viewBox", `0 0 ${width} ${y + 18}`);
  return plot;
}

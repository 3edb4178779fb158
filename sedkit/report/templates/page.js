"use strict";
// The browser of clips: a list, sorted and filtered; of the open clip sound, spectrogram, events and scores on one axis.
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const list = byId("list"), audio = byId("audio"), lanes = byId("lanes"), browser = byId("browser");
  if (!browser) return;
  const state = { set: 0, clip: -1, order: [], media: null, url: null, drawn: null };
  const colour = (k) => getComputedStyle(document.documentElement).getPropertyValue(`--s${k}`).trim();

  function element(tag, attributes, text, parent) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }

  // ---- counts, order

  const set = () => data.sets[state.set];

  // Of a clip's events (all classes, or one): true ones, decoded ones, correct ones; null where there is no truth.
  function tally(clip, system, label) {
    const of = clip.systems[system];
    if (!of || !clip.truth || !of.detected) return null;
    const ofClass = (events) => (label < 0 ? events : events.filter((event) => event[0] === label));
    const decoded = ofClass(of.events);
    return { truth: ofClass(clip.truth).length, decoded: decoded.length, correct: decoded.filter((e) => e[3]).length };
  }
  const f1 = (t) => (t && t.truth + t.decoded ? (2 * t.correct) / (t.truth + t.decoded) : null);
  const missed = (t) => (t ? t.truth - t.correct : -1);
  const falseOnes = (t) => (t ? t.decoded - t.correct : -1);

  function ordered() {
    const label = Number(byId("class").value), system = Number(byId("system").value), by = byId("sort").value;
    const words = byId("search").value.toLowerCase();
    const heard = byId("heard").checked;
    const rows = [];
    set().clips.forEach((clip, index) => {
      if (words && !clip.name.toLowerCase().includes(words)) return;
      if (heard && !clip.media) return;
      const events = [...(clip.truth || []), ...clip.systems.flatMap((of) => (of ? of.events : []))];
      if (label >= 0 && !events.some((event) => event[0] === label)) return;
      const tallies = clip.systems.map((_, k) => tally(clip, k, label));
      rows.push({ index, name: clip.name, tallies, t: tallies[system] });
    });
    const orders = {
      f1: (a, b) => (f1(a.t) ?? 2) - (f1(b.t) ?? 2) || missed(b.t) + falseOnes(b.t) - missed(a.t) - falseOnes(a.t),
      false: (a, b) => falseOnes(b.t) - falseOnes(a.t) || missed(b.t) - missed(a.t),
      missed: (a, b) => missed(b.t) - missed(a.t) || falseOnes(b.t) - falseOnes(a.t),
      differ: (a, b) => spread(b) - spread(a),
      name: () => 0,
    };
    const spread = (row) => {
      const values = row.tallies.map((t) => f1(t)).filter((value) => value !== null);
      return values.length > 1 ? Math.max(...values) - Math.min(...values) : -1;
    };
    return rows.sort((a, b) => orders[by](a, b) || a.index - b.index);
  }

  const words = (t) =>
    t === null ? "no figures" : `F1 ${f1(t) === null ? "–" : f1(t).toFixed(2)} · ${missed(t)} missed · ${falseOnes(t)} false`;

  // A line a system.
  const said = (row) => row.tallies.map((t, k) => (data.systems.length > 1 ? `${letter(k)}: ` : "") + words(t));

  function fillList(keep) {
    state.order = ordered();
    const rows = state.order.map((row, place) => {
      const item = document.createElement("li");
      item.id = `clip-${row.index}`;
      item.setAttribute("role", "option");
      item.dataset.place = place;
      const lines = [row.name, ...said(row)].map((text, i) => {
        const line = document.createElement("span");
        line.className = i ? "tally" : "clip";
        line.textContent = text;
        return line;
      });
      item.append(...lines);
      return item;
    });
    list.replaceChildren(...rows);
    const n = set().clips.length;
    byId("count").textContent = `${rows.length} of ${n} clips`;
    if (!rows.length) return close();
    const place = keep ? state.order.findIndex((row) => row.index === state.clip) : -1;
    open(Math.max(place, 0), false);
  }

  const letter = (k) => String.fromCharCode(65 + k);

  // ---- the open clip

  function close() {
    stop();
    state.clip = -1;
    state.media = null;
    list.removeAttribute("aria-activedescendant");
    byId("clip-name").textContent = "no clip fits";
    byId("clip-figures").textContent = "";
    byId("clip-lacks").textContent = "";
    lanes.replaceChildren();
    lanes.setAttribute("viewBox", "0 0 100 1");
  }

  function stop() {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
    if (state.url) URL.revokeObjectURL(state.url);
    state.url = null;
  }

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }

  // Sound, image and curves of a clip are parsed when it is opened, and not before.
  function mediaOf(clip) {
    const script = clip.media ? byId(clip.media) : null;
    return script ? JSON.parse(script.textContent) : null;
  }

  function open(place, scroll = true) {
    const row = state.order[place];
    if (!row) return;
    stop();
    const clip = set().clips[row.index];
    state.clip = row.index;
    state.media = mediaOf(clip);
    const before = list.querySelector('[aria-selected="true"]');
    if (before) before.removeAttribute("aria-selected");
    const item = byId(`clip-${row.index}`);
    item.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", item.id);
    if (scroll) {
      const top = item.offsetTop, bottom = top + item.offsetHeight;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
    }
    byId("clip-name").textContent = clip.name;
    byId("clip-figures").textContent = said(row).join("   |   ");
    byId("clip-lacks").textContent = state.media ? state.media.lacks || "" : set().without;
    const playable = Boolean(state.media && state.media.sound);
    audio.hidden = byId("play").disabled = !playable;
    if (playable) {
      state.url = URL.createObjectURL(new Blob([bytes(state.media.sound)], { type: state.media.mime }));
      audio.src = state.url;
    }
    draw();
    byId("said").textContent = `${clip.name}, ${place + 1} of ${state.order.length}, ${byId("clip-figures").textContent}`;
  }

  const placeNow = () => state.order.findIndex((row) => row.index === state.clip);
  const step = (by) => open(Math.min(Math.max(placeNow() + by, 0), state.order.length - 1));

  // ---- drawing

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

  // `paper`: the width that a printed page has, in place of the window's.
  function draw(paper) {
    const clip = set().clips[state.clip];
    if (!clip) return;
    const media = state.media, systems = data.systems.length;
    const width = paper || Math.max(280, Math.round(lanes.parentElement.clientWidth)), gutter = width < 560 ? 92 : 156;
    const plot = { left: gutter, right: width - 8, seconds: Math.max(clip.seconds, 0.01) };
    const x = (t) => plot.left + (Math.min(Math.max(t, 0), plot.seconds) / plot.seconds) * (plot.right - plot.left);
    lanes.replaceChildren();
    const defs = element("defs", {}, undefined, lanes);
    data.systems.forEach((_, k) => pattern(k, defs));
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
      for (const [hz, place] of set().marks) {
        const at = y + (1 - place) * height;
        element("line", { x1: plot.left - 4, x2: plot.left, y1: at, y2: at, stroke: "#5b656d" }, undefined, lanes);
        const said = hz >= 1000 ? `${hz / 1000} kHz` : `${hz} Hz`;
        element("text", { x: plot.left - 7, y: at + 3.5, "text-anchor": "end", class: "quiet" }, said, lanes);
      }
      y += height + 10;
    }

    const curves = media ? media.curves : [];
    const shown = set().labels.map((name, label) => ({ name, label })).filter(({ label }) =>
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
            text: `${data.systems[k]}: ${known ? (correct ? "correct" : "false") : "detected"}`,
            class: correct || !known ? "correct" : "false",
          };
        });
        if (of.detected) {
          const lost = clip.truth.filter((_, i) => !of.detected[i]);
          drawLane(lost, () => ({
            fill: "none", stroke: "#000", "stroke-width": 1.2, "stroke-dasharray": "3 2", class: "missed",
            text: `${data.systems[k]}: missed`,
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
    state.drawn = plot;
    moveCursor();
  }

  function moveCursor() {
    const plot = state.drawn;
    if (!plot) return;
    const at = plot.left + (Math.min(audio.currentTime, plot.seconds) / plot.seconds) * (plot.right - plot.left);
    for (const line of lanes.querySelectorAll(".halo, .cursor")) {
      line.setAttribute("x1", at);
      line.setAttribute("x2", at);
    }
    byId("now").textContent = `${audio.currentTime.toFixed(2)} s`;
  }

  function follow() {
    moveCursor();
    if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
  }

  function seek(event) {
    const plot = state.drawn;
    if (!plot || audio.hidden) return;
    const box = lanes.getBoundingClientRect(), scale = lanes.viewBox.baseVal.width / box.width;
    const share = ((event.clientX - box.left) * scale - plot.left) / (plot.right - plot.left);
    if (share < 0) return;
    audio.currentTime = Math.min(share, 1) * plot.seconds;
    moveCursor();
  }

  function toggle() {
    if (byId("play").disabled) return;
    if (audio.paused) audio.play();
    else audio.pause();
  }

  // ---- what is pressed

  audio.addEventListener("play", () => { byId("play").textContent = "Pause"; follow(); });
  for (const kind of ["pause", "ended", "emptied"])
    audio.addEventListener(kind, () => { byId("play").textContent = "Play"; moveCursor(); });
  for (const kind of ["seeked", "timeupdate"]) audio.addEventListener(kind, moveCursor);
  byId("play").addEventListener("click", toggle);
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));
  let dragged = false;
  lanes.addEventListener("pointerdown", (event) => { dragged = true; lanes.setPointerCapture(event.pointerId); seek(event); });
  lanes.addEventListener("pointermove", (event) => { if (dragged) seek(event); });
  for (const kind of ["pointerup", "pointercancel"]) lanes.addEventListener(kind, () => { dragged = false; });
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) open(Number(item.dataset.place));
  });

  let visible = false;
  new IntersectionObserver((seen) => { visible = seen[seen.length - 1].isIntersecting; }, { threshold: 0.05 }).observe(browser);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const inside = browser.contains(document.activeElement), onList = document.activeElement === list;
    if (!inside && !visible) return;
    const pressable = event.target.closest("button, summary, a, audio");
    const acts = {
      j: () => step(1), k: () => step(-1),
      ArrowDown: onList && (() => step(1)), ArrowUp: onList && (() => step(-1)),
      Home: onList && (() => open(0)), End: onList && (() => open(state.order.length - 1)),
      " ": !pressable && toggle,
      ArrowLeft: inside && event.target !== audio && (() => { audio.currentTime = Math.max(0, audio.currentTime - 0.5); moveCursor(); }),
      ArrowRight: inside && event.target !== audio && (() => { audio.currentTime += 0.5; moveCursor(); }),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  function fillClasses() {
    const select = byId("class"), every = new Option("all classes", "-1");
    select.replaceChildren(every, ...set().labels.map((name, label) => new Option(name, label)));
  }
  byId("set").replaceChildren(...data.sets.map((one, k) => new Option(one.name, k)));
  byId("system").replaceChildren(...data.systems.map((name, k) => new Option(`${letter(k)}: ${name}`, k)));
  byId("set").addEventListener("change", () => {
    state.set = Number(byId("set").value);
    fillClasses();
    fillList(false);
  });
  for (const id of ["sort", "class", "system"]) byId(id).addEventListener("change", () => fillList(false));
  byId("heard").addEventListener("change", () => fillList(true));
  byId("search").addEventListener("input", () => fillList(true));
  let waiting = 0;
  new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => draw()); }).observe(lanes.parentElement);
  addEventListener("beforeprint", () => draw(720));
  addEventListener("afterprint", () => draw());
  fillClasses();
  fillList(false);
})();

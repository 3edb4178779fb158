// The browser of clips: a list, sorted and filtered; of the open clip sound, spectrogram, events and scores on one axis.
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), audio = byId("audio"), lanes = byId("lanes"), browser = byId("browser");
  if (!browser) return;
  const state = { set: 0, clip: -1, order: [], media: null, url: null, drawn: null };

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

  // `paper`: the width that a printed page has, in place of the window's.
  function draw(paper) {
    const clip = set().clips[state.clip];
    if (!clip) return;
    const width = paper || Math.max(280, Math.round(lanes.parentElement.clientWidth));
    state.drawn = drawClip(lanes, clip, state.media, set(), data.systems, width);
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

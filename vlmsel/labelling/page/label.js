"use strict";
// The label page. It keeps no state of its own but the zoom and the search: what the server says is
// shown, so that a second tab, a reload and a server that was killed all go on alike.

const token = new URLSearchParams(location.search).get("token") || "";
const byId = (id) => document.getElementById(id);
const KEYED = 9, MANY = 24, SHOWN = 60, FAST_MS = 600, SLOW_MS = 2000, HIDDEN_MS = 6000;

let state = null;
let names = [], hasNoClass = true;
let busy = false, timer = 0, shownImage = "", zoom = 1, ended = false;
let keys = new Map();
let usedFirst = [];
let mended = null, finishesThen = false;

// Talking to the server

async function ask(path, body) {
  const options = { headers: { "X-Vlmsel-Token": token }, cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(`api/${path}`, options);
  } catch {
    throw Object.assign(new Error("gone"), { gone: true });
  }
  if (answer.status === 403) throw Object.assign(new Error(await answer.text()), { refused: true });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error || `error ${answer.status}`), { status: answer.status });
  return found;
}

async function act(path, body, spoken) {
  if (busy || ended) return false;
  busy = true;
  byId("saved-text").textContent = "Saving";
  byId("saved").firstElementChild.classList.add("busy");
  try {
    const found = await ask(path, body);
    await show(found);
    if (spoken) say(spoken);
    return true;
  } catch (error) {
    await fail(error);
    return false;
  } finally {
    busy = false;
    if (state) showSaved();
    plan();
  }
}

async function fail(error) {
  if (error.refused) {
    banner("This page belongs to an earlier start of the server. Open the address that `vlmsel label` printed last.");
    return;
  }
  if (error.gone) {
    banner("The server does not answer: it was stopped. Labels up to here are saved; start `vlmsel label` again to go on.");
    return;
  }
  banner(error.message);
  say(error.message);
  try { await show(await ask("state"), true); } catch { /* the next look says so */ }
}

async function look() {
  if (ended || busy) return plan();
  try {
    const found = await ask("state");
    if (byId("banner").dataset.lasting) banner("");
    await show(found);
    finishThen();
  } catch (error) {
    await fail(error);
    if (error.gone || error.refused) byId("banner").dataset.lasting = "1";
  }
  plan();
}

function plan() {
  clearTimeout(timer);
  if (ended) return;
  const moves = !state || !state.is_current || !["done", "failed"].includes(state.measuring.phase);
  timer = setTimeout(look, document.hidden ? HIDDEN_MS : moves ? FAST_MS : SLOW_MS);
}

// Saying things

function say(text) { byId("spoken").textContent = text; }

function banner(text, good) {
  const place = byId("banner");
  place.textContent = text;
  place.hidden = !text;
  place.classList.toggle("good", Boolean(good));
  delete place.dataset.lasting;
}

const points = (share) => (100 * share).toFixed(share < 0.0995 ? 1 : 0);
const limitPoints = (share) => String(Number((100 * share).toFixed(2)));
const percent = (share) => (share === null ? "?" : String(Math.round(100 * share)));
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key in made && key !== "list") made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Showing the state

async function show(found, keepsBanner) {
  if (state && found.revision < state.revision && found.n_classes === state.n_classes) return;
  if (!state || found.n_classes !== names.length) {
    const list = await ask("classes");
    names = list.names;
    hasNoClass = list.has_no_class;
    showClasses();
  }
  const before = state;
  state = found;
  if (found.ended) return finished();
  if (!keepsBanner && before && before.revision !== found.revision) banner("");
  showPicture();
  showSaved();
  showCounts();
  showStanding(before);
  showRun();
  showRecent();
  showNotes();
}

function showSaved() {
  const n = state.labelled;
  byId("saved-text").textContent = n ? `${plural(n, "label")}, saved` : "No label yet";
  byId("saved").firstElementChild.classList.remove("busy");
  byId("saved").title = state.file;
}

function address(entry, size) {
  return `images/${entry.number}?token=${encodeURIComponent(token)}&v=${entry.sha}${size ? `&size=${size}` : ""}`;
}

function showPicture() {
  const entry = state.queue[0];
  const picture = byId("picture"), empty = byId("empty");
  byId("undo").disabled = !state.last;
  for (const id of ["none", "skip"]) byId(id).disabled = !entry;
  byId("none").disabled = !entry || !hasNoClass;
  const hint = state.waiting && entry
    ? `${plural(state.waiting, "picture")} skipped for now; labels after a skipped picture count as soon as it is labelled. Cannot tell? Choose “None of these”.`
    : "";
  byId("hint").textContent = hint;
  byId("hint").hidden = !hint;
  if (!entry) {
    shownImage = "";
    picture.hidden = true;
    empty.hidden = false;
    empty.textContent = state.images === state.labelled + state.unreadable.length
      ? "Every picture is labelled. Finish shows the answer." : "No picture is left.";
    byId("place").textContent = "";
    byId("name").textContent = "";
    setClassesEnabled(false);
    return;
  }
  empty.hidden = true;
  setClassesEnabled(true);
  const place = state.images - state.n_open - state.unreadable.length + 1;
  byId("place").textContent = `Picture ${place} of ${state.images - state.unreadable.length}`;
  byId("name").textContent = entry.name;
  if (shownImage !== entry.id) {
    shownImage = entry.id;
    zoom = 1;
    picture.hidden = true;
    picture.alt = `Picture to label: ${entry.name}`;
    picture.src = address(entry);
  }
  if (state.queue[1]) new Image().src = address(state.queue[1]);
}

function fit() {
  const picture = byId("picture"), stage = byId("stage");
  if (!picture.naturalWidth) return;
  const scale = Math.min((stage.clientWidth - 2) / picture.naturalWidth, (stage.clientHeight - 2) / picture.naturalHeight);
  const width = Math.max(1, Math.floor(picture.naturalWidth * scale * zoom));
  picture.style.width = `${width}px`;
  picture.classList.toggle("exact", picture.naturalWidth <= 256 && width > picture.naturalWidth);
  stage.classList.toggle("zoomed", zoom > 1);
}

function setZoom(to) {
  const stage = byId("stage");
  const x = (stage.scrollLeft + stage.clientWidth / 2) / stage.scrollWidth;
  const y = (stage.scrollTop + stage.clientHeight / 2) / stage.scrollHeight;
  zoom = Math.min(8, Math.max(1, to));
  fit();
  stage.scrollLeft = x * stage.scrollWidth - stage.clientWidth / 2;
  stage.scrollTop = y * stage.scrollHeight - stage.clientHeight / 2;
  say(`Zoom ${Math.round(100 * zoom)} percent`);
}

// Classes

const plain = (text) => text.normalize("NFC").toLocaleLowerCase();

function matching(query) {
  const all = names.map((name, number) => number);
  if (!query) return [...usedFirst, ...all.filter((number) => !usedFirst.includes(number))];
  const asked = plain(query);
  const begins = [], holds = [];
  for (const number of all) {
    const name = plain(names[number]);
    if (name.startsWith(asked)) begins.push(number);
    else if (name.includes(asked)) holds.push(number);
  }
  begins.sort((a, b) => names[a].length - names[b].length || a - b);
  return [...begins, ...holds];
}

// A class that is a digit has its own key: key 3 must not mean the class "2".
function keyOf(number, place) {
  if (names.some((name) => /^[0-9]$/.test(name))) return /^[0-9]$/.test(names[number]) ? names[number] : "";
  return place < KEYED ? String(place + 1) : "";
}

const noneKey = () => (names.includes("0") ? "Delete" : "0");

function showClasses() {
  const query = byId("search").value.trim();
  const found = matching(query);
  const shown = found.slice(0, SHOWN);
  const list = byId("classes");
  keys = new Map();
  list.replaceChildren(...shown.map((number, place) => {
    const key = query ? (place ? "" : "↵") : keyOf(number, place);
    if (key && !query) keys.set(key, number);
    const button = element("button", { type: "button", className: query && place === 0 ? "first" : "" },
      ...(key ? [element("kbd", { ariaHidden: "true" }, key)] : []),
      element("span", { className: "label" }, names[number]),
      element("span", { className: "count" }));
    button.dataset.number = number;
    if (key && !query) button.setAttribute("aria-keyshortcuts", key);
    button.addEventListener("click", () => label(number));
    return button;
  }));
  list.classList.toggle("few", names.length <= KEYED);
  list.classList.toggle("many", names.length > MANY);
  byId("search-row").hidden = names.length <= KEYED;
  byId("found").textContent = query ? (found.length ? plural(found.length, "class").replace("classs", "classes") : "no class") : "";
  const more = found.length - shown.length;
  byId("more").hidden = !more;
  byId("more").textContent = more ? `${more.toLocaleString("en")} more; type to find one` : "";
  const none = noneKey() === "0" ? "0" : "Del";
  byId("none-key").textContent = none;
  byId("help-none").textContent = none;
  byId("none").title = hasNoClass ? "" : "A class of this name is in the list";
  byId("mend-list").replaceChildren(...names.slice(0, 2000).map((name) => element("option", { value: name })));
  showCounts();
}

function setClassesEnabled(on) {
  for (const button of byId("classes").children) button.disabled = !on;
}

function showCounts() {
  if (!state) return;
  if (names.length > MANY) {
    const used = Object.keys(state.counts).map(Number);
    const kept = usedFirst.filter((number) => used.includes(number));
    const next = [...kept, ...used.filter((number) => !kept.includes(number))].slice(0, KEYED);
    if (next.join() !== usedFirst.join()) {
      usedFirst = next;
      if (!byId("search").value) return showClasses();
    }
  }
  for (const button of byId("classes").children) {
    const n = state.counts[button.dataset.number];
    const count = button.lastElementChild;
    count.textContent = n || "";
    count.title = n ? plural(n, "label") : "";
  }
}

async function label(number) {
  const entry = state && state.queue[0];
  if (!entry || number === undefined) return;
  const name = number === null ? null : names[number];
  const search = byId("search");
  if (search.value) { search.value = ""; showClasses(); }
  const said = name === null ? "none of these" : name;
  if (await act("label", { image: entry.id, label: name })) {
    const next = state.queue[0] ? ` Next: ${state.queue[0].name}.` : "";
    say(`Labelled ${said}.${next}`);
    const button = [...byId("classes").children].find((x) => Number(x.dataset.number) === number);
    if (button && number !== null) {
      button.classList.add("just");
      setTimeout(() => button.classList.remove("just"), 400);
    }
  }
}

const skip = () => state && state.queue[0] && act("skip", { image: state.queue[0].id }, "Skipped for now");
const undo = () => state && state.last && act("undo", { image: state.last.id }, `Taken back: ${state.last.name}`);

// Standing

function showStanding(before) {
  const standing = state.standing, verdict = byId("verdict"), strip = byId("strip");
  verdict.classList.toggle("good", Boolean(standing && standing.enough));
  strip.classList.toggle("good", Boolean(standing && standing.enough));
  if (!standing) {
    verdict.textContent = state.problem ? "No advice yet" : "Waiting for the first answers";
    byId("regret").textContent = state.problem;
    for (const id of ["why", "worth", "models-note"]) byId(id).textContent = "";
    byId("models").replaceChildren();
    byId("curve").replaceChildren();
    strip.hidden = true;
    return;
  }
  const n = standing.labels, limit = limitPoints(standing.tolerance);
  // Rounded, a regret just below the limit would look as large.
  const rounded = standing.regret === null ? null : points(standing.regret);
  const regret = rounded !== null && Number(rounded) === Number(limit) ? (100 * standing.regret).toFixed(2) : rounded;
  const left = standing.next_check === null ? 0 : standing.next_check - n;
  verdict.textContent = standing.enough ? "You can stop"
    : n ? (left > 0 ? `${plural(left, "more label")} to the next check` : "Label on")
    : standing.n_images ? "Label the first pictures" : "The models are at work; label meanwhile";
  const line = element("span", {});
  if (regret !== null) {
    line.append("Expected regret ", element("strong", {}, `${regret} points`),
      !standing.enough ? `; enough is below ${limit}.` : standing.regret < standing.tolerance ? `: below your ${limit}.` : `; at the check it was below your ${limit}.`);
  }
  byId("regret").replaceChildren(line);
  byId("why").textContent = why(standing);
  byId("worth").textContent = worth(standing);
  showModels(standing);
  drawCurve(standing);
  byId("lines").replaceChildren(...standing.lines.map((text) => element("p", {}, text)));
  strip.hidden = false;
  strip.replaceChildren(
    element("span", {}, standing.enough ? "You can stop" : left > 0 ? `Next check in ${left}` : "Label on"),
    element("span", {}, regret === null ? "" : `Expected regret ${regret} points`));
  const had = before && before.standing;
  if (had && !had.enough && standing.enough) say(`You can stop: the expected regret is ${regret} points.`);
}

function why(standing) {
  if (standing.unused) return `${plural(standing.unused, "label")} wait for a skipped picture and do not count yet.`;
  if (standing.enough) return `Decided at ${plural(standing.checked, "label")}. More labels make the choice surer; none is needed.`;
  if (!standing.labels) return "By so many points of accuracy the truly best model may beat the first choice, on average. Labels bring it down.";
  return "By so many points the truly best model may beat the first choice, on average over all that is still possible.";
}

function worth(standing) {
  if (!standing.labels) return "";
  const ahead = standing.later.find(([n]) => n === 25);
  const more = ahead && !standing.enough ? ` With 25 more the regret is to be expected at ${points(ahead[1])}.` : "";
  return standing.worth_line + more;
}

function showModels(standing) {
  byId("models").replaceChildren(...standing.models.map((model) => {
    const fill = element("div", { className: "fill" });
    fill.style.width = `${100 * (model.p_best || 0)}%`;
    const interval = model.accuracy === null ? "accuracy not known yet"
      : `accuracy ${percent(model.accuracy)} % (${percent(model.low)} to ${percent(model.high)})`;
    return element("li", { className: model.is_first ? "first" : "" },
      element("div", { className: "row" },
        element("span", { className: "who" }, model.name),
        element("span", { className: "chance", title: "probability of being the best" }, model.p_best === null ? "" : `${percent(model.p_best)} %`)),
      element("div", { className: "track", ariaHidden: "true" }, fill),
      element("p", { className: "said" }, model.is_first ? `First choice; ${interval}` : interval));
  }));
  const alike = standing.n_rivals ? `${plural(standing.n_rivals, "other model")} cannot be told apart from the first choice.` : "Every other model is told apart from the first choice.";
  byId("models-note").textContent = `P(best) of ${standing.n_models} models; accuracy with its 90 % interval. ${alike}`;
}

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawCurve(standing) {
  const place = byId("curve");
  const line = state.curve;
  if (!line.length) { place.replaceChildren(); return; }
  const width = 360, height = 150, left = 30, right = 8, top = 12, bottom = 24;
  const last = line[line.length - 1];
  const ahead = standing.enough ? [] : standing.later.filter(([n]) => n <= 25).map(([n, value]) => [standing.labels + n, value]);
  const most = Math.max(10, last[0], ...ahead.map(([n]) => n));
  const high = Math.max(standing.tolerance * 1.6, ...line.map(([, y]) => y)) * 1.05;
  const x = (n) => left + (n / most) * (width - left - right);
  const y = (value) => top + (1 - value / high) * (height - top - bottom);
  const path = (dots) => dots.map(([n, value], i) => `${i ? "L" : "M"}${x(n).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spokenCurve(line, standing) });
  const step = high > 0.3 ? 0.1 : high > 0.12 ? 0.05 : high > 0.05 ? 0.02 : 0.01;
  for (let value = 0; value <= high; value += step) {
    svg.append(shape("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(shape("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(Math.round(100 * value))));
  }
  const stride = most > 120 ? 50 : most > 60 ? 20 : most > 24 ? 10 : 5;
  for (let n = 0; n <= most; n += stride) svg.append(shape("text", { x: x(n), y: height - 8, "text-anchor": "middle" }, String(n)));
  const limit = y(standing.tolerance);
  svg.append(shape("line", { class: "limit", x1: left, x2: width - right, y1: limit, y2: limit }));
  svg.append(shape("text", { class: "limit-text", x: width - right, y: limit - 5, "text-anchor": "end" }, "enough"));
  if (ahead.length) {
    svg.append(shape("path", { class: "ahead", d: path([last, ...ahead]) }));
    for (const [n, value] of ahead) svg.append(shape("circle", { class: "hollow", cx: x(n), cy: y(value), r: 3 }));
  }
  svg.append(shape("path", { class: "line", d: path(line) }));
  svg.append(shape("circle", { class: "dot", cx: x(last[0]), cy: y(last[1]), r: 4 }));
  place.replaceChildren(svg, element("p", { className: "soft" }, "Expected regret in points, by number of labels"));
}

function spokenCurve(line, standing) {
  const [first, last] = [line[0], line[line.length - 1]];
  return `Expected regret by number of labels: ${points(first[1])} points at ${first[0]}, ${points(last[1])} at ${last[0]}; enough is below ${limitPoints(standing.tolerance)}.`;
}

// Models at work

function showRun() {
  const run = state.measuring, bar = byId("run-bar");
  const done = `${run.models_done} of ${plural(run.models, "model")}`;
  const left = run.left_s === null ? "" : `, about ${span(run.left_s)} left`;
  const verb = run.is_derived ? "have new answers, derived from what they saw" : "have answered";
  byId("run").textContent = {
    starting: "Looking at what is measured already",
    measuring: `${done} ${verb}${left}`,
    done: `All ${run.models} models ${verb}${state.standing && state.standing.n_images ? `, on ${plural(state.standing.n_images, "image")}` : ""}`,
    failed: `${done} ${verb}; the others cannot be run`,
  }[run.phase];
  bar.hidden = run.phase === "done" || run.phase === "failed";
  if (run.phase === "starting") bar.removeAttribute("value"); else bar.value = run.share;
  const failures = byId("failures");
  failures.hidden = !run.failures.length;
  failures.replaceChildren(...run.failures.map((text) => element("li", {}, text)));
}

const modelsLeft = () => (["done", "failed"].includes(state.measuring.phase) ? 0 : state.measuring.models - state.measuring.models_done);

// Finish was asked for; models that are still at work are waited for.
function finishThen() {
  if (!finishesThen || ended) return;
  const open = modelsLeft();
  if (open) {
    banner(`Finishing when ${plural(open, "more model")} ${open === 1 ? "has" : "have"} answered. Labels still count.`, true);
  } else {
    finishesThen = false;
    act("finish", {});
  }
}

function span(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// What was labelled

function showRecent() {
  const list = byId("recent");
  const wanted = state.recent.map((entry) => `${entry.id}\n${entry.label}`).join("\n\n");
  if (list.dataset.shown !== wanted) {
    list.dataset.shown = wanted;
    list.replaceChildren(...state.recent.map((entry) => {
      const said = entry.label === null ? "none of these" : entry.label;
      const button = element("button", { type: "button", title: `${entry.name}: ${said}` },
        element("img", { src: address(entry, "small"), alt: "", loading: "lazy" }),
        element("span", {}, said));
      button.setAttribute("aria-label", `${entry.name} is ${said}; give it another label`);
      button.addEventListener("click", () => openMend(entry));
      return element("li", {}, button);
    }));
  }
  const outside = state.outside ? ` ${plural(state.outside, "picture")} in none of the classes ${state.outside === 1 ? "is" : "are"} left out.` : "";
  byId("recent-note").textContent = state.recent.length ? `Choose one to give it another label.${outside}` : "Labels come here; each can be changed.";
}

function openMend(entry) {
  mended = entry;
  byId("mend-picture").src = address(entry, "small");
  byId("mend-text").textContent = `${entry.name} is ${entry.label === null ? "none of these" : entry.label}`;
  byId("mend-name").value = entry.label || "";
  byId("mend-error").textContent = "";
  byId("mend-none").disabled = !hasNoClass;
  byId("mend").showModal();
  byId("mend-name").select();
}

async function mend(name) {
  if (name !== null && !names.includes(name)) {
    const alike = names.find((x) => plain(x) === plain(name.trim()));
    if (alike === undefined) {
      byId("mend-error").textContent = `There is no class “${name}”.`;
      return;
    }
    name = alike;
  }
  const said = name === null ? "none of these" : name;
  if (await act("label", { image: mended.id, label: name, again: true }, `${mended.name} is now ${said}`)) byId("mend").close();
}

function showNotes() {
  const notes = [];
  byId("help-order").hidden = !state.order.is_random;
  if (!state.order.is_random) notes.push(`Pictures are picked by “${state.order.name}”: the labelled ones are no random sample, so expected accuracy and regret are those of the picked pictures, not of all.`);
  for (const { name, reason } of state.unreadable) notes.push(`Cannot be read and is passed over: ${name}: ${reason}`);
  if (state.standing) notes.push(...state.standing.notes);
  byId("notes-card").hidden = !notes.length;
  byId("notes").replaceChildren(...notes.map((text) => element("li", {}, text)));
}

function finished() {
  ended = true;
  clearTimeout(timer);
  banner(`Finished: ${plural(state.labelled, "label")} in ${state.file}. The terminal shows the answer; this page can be closed.`, true);
  for (const control of document.querySelectorAll("main button, header button, #search")) control.disabled = true;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  say("Finished");
}

// Hands

function typed(event) {
  if (!state || ended || document.querySelector("dialog[open]")) return;
  const search = byId("search"), inSearch = event.target === search;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !(inSearch && search.value)) {
    event.preventDefault();
    undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (inSearch ? typedInSearch(event, search) : typedElsewhere(event, search)) event.preventDefault();
}

function typedInSearch(event, search) {
  if (event.key === "Enter") {
    const first = byId("classes").firstElementChild;
    if (search.value.trim() && first) label(Number(first.dataset.number));
    return true;
  }
  if (event.key === "Escape") {
    search.value = "";
    showClasses();
    byId("stage").focus();
    return true;
  }
  if (event.key === "ArrowDown") {
    const first = byId("classes").firstElementChild;
    if (first) first.focus();
    return true;
  }
  return !search.value && !names.some((name) => /^[0-9]/.test(name)) && pressed(event.key);
}

function typedElsewhere(event, search) {
  if (event.key === "?") { byId("help").showModal(); return true; }
  if (event.key === "+" || event.key === "=") { setZoom(zoom * 1.5); return true; }
  if (event.key === "-") { setZoom(zoom / 1.5); return true; }
  if (pressed(event.key)) return true;
  const isLetter = event.key.length === 1 && event.key !== " ";
  if (isLetter && !byId("search-row").hidden) { search.focus(); return false; }
  return false;
}

function pressed(key) {
  if (key === noneKey()) { if (hasNoClass) label(null); return true; }
  if (keys.has(key)) { label(keys.get(key)); return true; }
  if (key === "Backspace") { undo(); return true; }
  if (key === "ArrowRight" && !(zoom > 1 && document.activeElement === byId("stage"))) { skip(); return true; }
  return false;
}

function pan() {
  const stage = byId("stage");
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (zoom === 1 || event.pointerType === "touch") return;
    from = [event.clientX + stage.scrollLeft, event.clientY + stage.scrollTop];
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    stage.scrollLeft = from[0] - event.clientX;
    stage.scrollTop = from[1] - event.clientY;
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { from = null; });
  stage.addEventListener("dblclick", () => setZoom(zoom > 1 ? 1 : 3));
}

function begin() {
  document.addEventListener("keydown", typed);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  window.addEventListener("resize", fit);
  const picture = byId("picture");
  picture.addEventListener("load", () => { picture.hidden = false; fit(); });
  picture.addEventListener("error", () => { shownImage = ""; look(); });
  byId("search").addEventListener("input", showClasses);
  byId("none").addEventListener("click", () => label(null));
  byId("skip").addEventListener("click", skip);
  byId("undo").addEventListener("click", undo);
  byId("zoom-in").addEventListener("click", () => setZoom(zoom * 1.5));
  byId("zoom-out").addEventListener("click", () => setZoom(zoom / 1.5));
  byId("zoom-fit").addEventListener("click", () => setZoom(1));
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("add-open").addEventListener("click", () => {
    byId("add-name").value = byId("search").value.trim();
    byId("add-error").textContent = "";
    byId("add").showModal();
  });
  byId("add-cancel").addEventListener("click", () => byId("add").close());
  byId("add-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = byId("add-name").value;
    if (busy) return;
    try {
      await show(await ask("class", { name }));
      byId("search").value = "";
      showClasses();
      byId("add").close();
      say(`Added the class ${name.trim()}`);
    } catch (error) {
      if (error.gone || error.refused) { byId("add").close(); await fail(error); } else byId("add-error").textContent = error.message;
    }
    plan();
  });
  byId("mend-cancel").addEventListener("click", () => byId("mend").close());
  byId("mend-save").addEventListener("click", () => mend(byId("mend-name").value));
  byId("mend-none").addEventListener("click", () => mend(null));
  byId("mend-name").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); mend(event.target.value); } });
  byId("finish-open").addEventListener("click", () => {
    const open = modelsLeft();
    const early = open ? ` ${plural(open, "model")} ${open === 1 ? "has" : "have"} not answered yet; finish now, and the answer leaves ${open === 1 ? "it" : "them"} out.` : "";
    const first = state.standing ? ` First choice by now: ${state.standing.first}.` : "";
    byId("finish-text").textContent = `${plural(state.labelled, "label")}.${first}${early}`;
    byId("finish-file").textContent = state.file;
    byId("finish-now").hidden = !open;
    byId("finish-then").textContent = open ? "Finish when they have" : "Finish";
    byId("finish").showModal();
  });
  byId("finish-cancel").addEventListener("click", () => { finishesThen = false; banner(""); byId("finish").close(); });
  byId("finish-now").addEventListener("click", () => { byId("finish").close(); act("finish", {}); });
  byId("finish-then").addEventListener("click", () => {
    byId("finish").close();
    finishesThen = true;
    finishThen();
  });
  pan();
  look();
}

begin();

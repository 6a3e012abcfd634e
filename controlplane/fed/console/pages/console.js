// The page: asks for the state every second, shows it, and says so when what it shows is old.
import { clock, duration, element, keep, setText } from "./rows.js";

const EVERY = 1000;
const PATIENCE = 5000;
const $ = (id) => document.getElementById(id);
let state = null;
let tag = "";
let ahead = 0; // how far gloo-fed's clock is ahead of this one, in milliseconds
let lastAnswer = null;
let lost = "";
let shown = null; // what the dialog shows: { query, label }

async function look() {
  try {
    const answer = await fetch("/api/state", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {}, signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status !== 304 && !answer.ok) throw new Error(`gloo-fed answers with status ${answer.status}`);
    ahead = Date.parse(answer.headers.get("X-Now")) - Date.now();
    if (answer.status !== 304) {
      const next = await answer.json();
      announce(state, next);
      state = next;
      tag = answer.headers.get("ETag") ?? "";
      render();
    }
    if (shown) showObject();
    lastAnswer = Date.now();
    lost = "";
  } catch (error) {
    lost = error.name === "TimeoutError" ? "no answer in time" : String(error.message);
  }
  renderConnection();
  setTimeout(look, EVERY);
}

function renderConnection() {
  const old = lost
    ? `The connection to gloo-fed is lost (${lost}). ${lastAnswer ? `What is shown is as of ${clock(lastAnswer)}` : "Nothing is known yet"}; it is tried again every second. Does make console still run?`
    : (state?.old ?? "");
  $("old").hidden = !old;
  setText($("old"), old);
  document.body.classList.toggle("is-old", Boolean(old));
  $("live").dataset.level = lost ? "bad" : old ? "warn" : "good";
  setText($("live"), lost ? "Connection lost" : old ? "Old" : "Live");
}

// Only what matters is said aloud: who serves has changed, a cluster is lost or back.
function announce(before, next) {
  if (!before) return;
  const serving = new Map(before.schemes.map((scheme) => [scheme.name, scheme.serving?.name]));
  const connection = new Map(before.clusters.map((cluster) => [cluster.name, cluster.connection]));
  const news = [
    ...next.schemes.filter((scheme) => scheme.serving && serving.get(scheme.name) !== scheme.serving.name).map((scheme) => `${scheme.name}: ${scheme.serving.name} serves now.`),
    ...next.clusters.filter((cluster) => connection.get(cluster.name) !== cluster.connection).map((cluster) => `Cluster ${cluster.name} is ${cluster.connection}.`),
  ];
  if (news.length) $("announce").textContent = news.slice(0, 5).join(" ");
}

function render() {
  const { replica } = state;
  const leads = replica.leads ? "it leads" : `it follows ${replica.leader || "nobody yet"}, and reads the same`;
  setText($("replica"), `${replica.name}: ${leads}`);
  const left = state.moreEvents ? ` ${state.moreEvents} older ones are not shown.` : "";
  setText($("watching"), `This replica of gloo-fed watches since ${clock(state.watchingSince)}; it knows nothing of before, and keeps at most ${state.eventsKept}.${left}`);
  setText($("about"), `Version ${state.version}. This page only reads. It shows statuses of the federation's objects in namespace ${state.namespace}, and no Secrets.`);
  renderTiles();
  const wanted = $("filter").value.trim().toLowerCase();
  const matches = (...names) => !wanted || names.some((name) => name.toLowerCase().includes(wanted));
  rows("schemes", state.schemes.filter((each) => matches(each.name, ...each.tiers.flatMap((tier) => [...tier.clusters, ...tier.upstreams]))), (each) => `${each.namespace}/${each.name}`, schemeCard);
  rows("clusters", state.clusters.filter((each) => matches(each.name, each.region)), (each) => each.name, clusterRow);
  rows("gateways", state.gateways.filter((each) => matches(each.name, each.cluster)), (each) => `${each.cluster}/${each.namespace}/${each.name}`, gatewayRow);
  rows("events", state.events.filter((each) => matches(each.subject, each.text)), (each) => `${state.watchingSince} ${each.id}`, eventRow);
  tick();
}

function rows(name, items, key, make) {
  keep(document.querySelector(`[data-rows="${name}"]`), items, key, make);
  document.querySelector(`[data-empty="${name}"]`).hidden = state[name].length > 0;
  const all = state[name].length + (state.more[name] ?? 0) + (name === "events" ? state.moreEvents : 0);
  setText(document.querySelector(`[data-count="${name}"]`), items.length === all ? `(${all})` : `(${items.length} of ${all} shown)`);
}

function renderTiles() {
  const count = (items, condition) => items.filter(condition).length;
  const { schemes, clusters } = state;
  const connected = count(clusters, (each) => each.connection === "connected");
  const primary = count(schemes, (each) => each.serving?.priority === 0);
  const standby = count(schemes, (each) => each.serving?.priority > 0);
  const nobody = count(schemes, (each) => each.serving && each.serving.priority === null);
  const unproven = count(schemes, (each) => each.standbyProven === false);
  const tiles = [
    ["Clusters connected", `${connected} of ${clusters.length}`, connected === clusters.length ? "good" : "bad"],
    ["Served by the primary", `${primary} of ${schemes.length}`, primary === schemes.length ? "good" : "warn"],
    ["Served by a standby", String(standby), standby ? "warn" : "good"],
    ["Served by nobody", String(nobody), nobody ? "bad" : "good"],
    ["Standby not proven", String(unproven), unproven ? "warn" : "good"],
  ];
  keep($("tiles"), tiles, ([name]) => name, ([name, text, level]) => element("div", { data: { level } }, element("dt", {}, name), element("dd", {}, text)));
}

function badge(text, level) {
  return element("span", { className: "badge", data: { level } }, text);
}

function since(moment) {
  return element("time", { dateTime: moment, data: { since: moment } });
}

function fullButton(text, label, query) {
  const button = element("button", { type: "button", data: { focus: label }, attributes: { "aria-label": label, "aria-haspopup": "dialog" } }, text);
  button.addEventListener("click", () => openObject(query, label));
  return button;
}

function schemeCard(scheme) {
  const { serving } = scheme;
  const title = `scheme ${scheme.namespace}/${scheme.name}`;
  const accepted = scheme.state === "ACCEPTED" ? "good" : ["PENDING", "PROCESSING"].includes(scheme.state) ? "warn" : "bad";
  const proven = { true: badge("Standby proven", "good"), false: badge("Standby not proven", "warn") }[scheme.standbyProven] ?? null;
  const who = serving
    ? element("p", { className: "who" }, element("strong", {}, serving.name), serving.priority === null ? " is able to serve since " : " serves since ", since(serving.since))
    : element("p", { className: "who" }, element("strong", {}, "Not known yet"), " who serves");
  const confirmed = { Confirmed: "The requests of the last seconds went there.", NoTraffic: "Too few requests lately to confirm it.", Differs: "But the requests of the last seconds went elsewhere." }[serving?.confirmed];
  return element(
    "article",
    { className: "card", data: { level: scheme.level }, attributes: { "aria-label": title } },
    element("div", { className: "bar" }, element("h3", {}, scheme.name), proven, badge(scheme.state, accepted), fullButton("Status", `Status of ${title}`, { kind: "FailoverScheme", namespace: scheme.namespace, name: scheme.name })),
    who,
    serving ? element("p", { className: "why" }, [`${serving.reason}: ${serving.message}`.replace(/:? ?$/, ".").replace(/\.\.$/, "."), confirmed].filter(Boolean).join(" ")) : null,
    serving?.stale ? element("p", { className: "trouble" }, `This may be old: ${serving.stale}`) : null,
    scheme.message ? element("p", { className: "trouble" }, scheme.message) : null,
    scheme.tiers.length ? tierTable(scheme, title) : null,
  );
}

function tierTable(scheme, title) {
  const heads = ["Tier", "Upstreams", "Healthy", "Requests", "Standby"].map((text) => element("th", { scope: "col" }, text));
  return element(
    "div",
    { className: "scroll", tabIndex: 0, data: { focus: "tiers" }, attributes: { role: "region", "aria-label": `Tiers of ${title}` } },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...scheme.tiers.map(tierRow))),
  );
}

function tierRow(tier) {
  const health = tier.total === null ? "not known" : `${tier.healthy} of ${tier.total}`;
  const level = tier.total === null ? "warn" : tier.healthy === 0 ? "bad" : tier.healthy < tier.total ? "warn" : "good";
  const upstreams = tier.upstreams.map((text) => {
    const [cluster, namespace, ...name] = text.split("/");
    return element("li", {}, fullButton(text, `Status of Upstream ${text}`, { kind: "Upstream", cluster, namespace, name: name.join("/") }));
  });
  const share = tier.requestShare === null
    ? element("td", {}, tier.total === null ? "" : "none lately")
    : element("td", {}, `${tier.requestShare} %`, element("progress", { max: 100, value: tier.requestShare, attributes: { "aria-label": `Share of the requests of ${tier.name}` } }));
  const proof = tier.proven === null
    ? element("td", {}, tier.priority === 0 ? "is the primary" : "")
    : element("td", {}, badge(tier.proven ? "proven" : "not proven", tier.proven ? "good" : "warn"), tier.proven ? null : element("p", { className: "trouble" }, tier.unprovenReason, tier.unprovenSince ? element("span", {}, " since ", since(tier.unprovenSince)) : null));
  return element(
    "tr",
    { className: tier.serves ? "serves" : "" },
    element("th", { scope: "row" }, tier.name, tier.serves ? element("span", { className: "now" }, "serves now") : null),
    element("td", { className: "wide" }, element("ul", { className: "upstreams" }, ...upstreams)),
    element("td", {}, badge(health, level)),
    share,
    proof,
  );
}

function clusterRow(cluster) {
  const registration = cluster.state === "ACCEPTED" ? "good" : ["PENDING", "PROCESSING"].includes(cluster.state) ? "warn" : "bad";
  const level = cluster.connection === "connected" ? "good" : cluster.connection === "reading" ? "warn" : "bad";
  const label = `KubernetesCluster ${cluster.name}`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, cluster.name),
    element("td", { className: "wide" }, badge(cluster.connection, level), cluster.trouble ? element("p", { className: "trouble" }, cluster.trouble) : null),
    element("td", {}, badge(cluster.state, registration)),
    element("td", {}, cluster.region || "not labelled"),
    element("td", {}, cluster.version || "not known"),
    element("td", {}, fullButton("Status", `Status of ${label}`, { kind: "KubernetesCluster", namespace: cluster.namespace, name: cluster.name })),
  );
}

function gatewayRow(gateway) {
  const label = `GlooInstance ${gateway.instance.name}`;
  return element(
    "tr",
    {},
    element("th", { scope: "row", className: "short" }, gateway.name, element("span", { className: "muted" }, ` in ${gateway.namespace}`)),
    element("td", {}, gateway.cluster),
    element("td", {}, badge(`${gateway.ready} of ${gateway.wanted}`, gateway.level)),
    element("td", {}, gateway.version || "not known"),
    element("td", {}, gateway.zones.join(", ") || "not labelled"),
    element("td", { className: "wide" }, gateway.addresses.length ? element("ul", { className: "upstreams" }, ...gateway.addresses.map((text) => element("li", {}, text))) : "none"),
    element("td", {}, fullButton("GlooInstance", `${label} of gateway ${gateway.name} in ${gateway.cluster}`, { kind: "GlooInstance", ...gateway.instance })),
  );
}

function eventRow(event) {
  return element(
    "li",
    { data: { level: event.level } },
    element("time", { dateTime: event.at, title: event.at }, clock(event.at)),
    element("span", { className: "mark" }, event.kind),
    element("span", { className: "text" }, element("strong", {}, `${event.subject}: `), event.text),
  );
}

function openObject(query, label) {
  shown = { query, label };
  setText($("details-title"), label);
  setText($("details-text"), "");
  setText($("details-note"), "Asking");
  $("details").showModal();
  showObject();
}

async function showObject() {
  const asked = shown;
  try {
    const answer = await fetch(`/api/object?${new URLSearchParams(asked.query)}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    const text = answer.ok ? JSON.stringify(await answer.json(), null, 2) : await answer.text();
    if (shown !== asked) return;
    setText($("details-text"), text);
    setText($("details-note"), `As of ${clock(Date.now())}; it follows while this is open.`);
  } catch {
    if (shown === asked) setText($("details-note"), "The connection to gloo-fed is lost; what is shown is old.");
  }
}

function tick() {
  const now = Date.now() + ahead;
  for (const time of document.querySelectorAll("time[data-since]")) {
    const moment = Date.parse(time.dataset.since);
    setText(time, Number.isNaN(moment) ? "an unknown time" : `${clock(moment)} (${duration(now - moment)})`);
  }
}

$("filter").addEventListener("input", () => state && render());
$("details-close").addEventListener("click", () => $("details").close());
$("details").addEventListener("close", () => {
  // The button that opened it may have been made anew meanwhile, and then the browser has nowhere to return to.
  const { label } = shown;
  shown = null;
  document.querySelector(`[data-focus="${CSS.escape(label)}"]`)?.focus();
});
setInterval(tick, EVERY);
look();

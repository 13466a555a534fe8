// The stream of events. One tab holds it for all tabs of this browser, since HTTP/1.1 allows few connections; it hands
// each event to the others. When the command is stopped, the tab asks again until it answers.
import { connection, looking, notify, store } from "./app_state.js";
import { getJson, onLost } from "./api.js";
import { loadStore, takeStore } from "./load.js";

const RETRY = [300, 700, 1500, 3000];
const POLL = 4000;
const channel = new BroadcastChannel("astica-page");
let source = null;
let tries = 0;
let waiting = null;
let holds = false;

function take(name, data) {
  if (name === "store") takeStore(data);
  else if (name === "push" && store.value) store.value = { ...store.value, push: data };
  else if (name === "training" && store.value) store.value = { ...store.value, training: data };
  else if (name === "looking") looking.value = data;
  else if (name === "lost") connection.value = "lost";
  else if (name === "closing") connection.value = "lost";
}

function share(name, data) {
  channel.postMessage({ name, data });
  take(name, data);
}

function open() {
  source?.close();
  source = new EventSource("/api/events");
  for (const name of ["store", "looking", "push", "training"]) {
    source.addEventListener(name, (event) => {
      tries = 0;
      share(name, JSON.parse(event.data));
    });
  }
  source.addEventListener("closing", () => {
    source.close();
    share("closing", null);
    again(RETRY[0]);
  });
  source.onopen = () => {
    tries = 0;
    void refresh();
  };
  source.onerror = () => {
    source.close();
    void probe();
  };
}

/** Finds out whether the command answers at all, and how to go on. */
async function probe() {
  try {
    const wasLost = connection.value === "lost";
    share("store", await getJson("/api/store"));
    if (wasLost) notify("Connected again");
    tries += 1;
    again(tries === 1 ? RETRY[0] : POLL);
  } catch (error) {
    if (connection.value === "ended") {
      again(POLL);
      return;
    }
    if (!error.status) share("lost", null);
    again(RETRY[Math.min(tries++, RETRY.length - 1)]);
  }
}

function again(delay) {
  clearTimeout(waiting);
  waiting = setTimeout(() => (connection.value === "ok" ? open() : probe()), delay);
}

async function refresh() {
  try {
    await loadStore();
  } catch {
    // The stream's own error finds out why.
  }
}

export function startEvents() {
  channel.onmessage = ({ data }) => take(data.name, data.data);
  onLost(() => holds && again(RETRY[0]));
  const hold = () => {
    holds = true;
    open();
    return new Promise(() => {});
  };
  if (navigator.locks) void navigator.locks.request("astica-page-events", hold);
  else void hold();
  window.addEventListener("online", () => holds && again(0));
}

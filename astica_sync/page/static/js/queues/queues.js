// Images to sort out, in groups: near duplicates, images in several classes, leaks into the held-out folder. Each has
// the keys of the classes, Delete, O (only this one) and K (keep all).
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { signal } from "/static/vendor/preact-signals-core.js";
import { notify, openImage, store, titleText } from "../state/app_state.js";
import { getJson, post } from "../state/api.js";
import { complain, move, redo, remove, undo } from "../changes/actions.js";
import { classOfKey } from "../changes/class_keys.js";
import { count, number } from "../format.js";
import { html, Icon } from "../ui.js";

export const QUEUES = {
  leaks: "Leaks into the held-out folder",
  several: "In several classes",
  across: "Similar in two classes",
  duplicates: "Similar in one class",
};
const PAUSE = 1000;
const MOST = 30;

/** The queue that is shown. */
const chosen = signal("");

const targetOf = (images) => ({
  items: images.map((one) => [one.id, one.content_hash]),
  count: images.length,
  ids: { all: false, items: new Map(images.map((one) => [one.id, { hash: one.content_hash }])), except: new Map() },
});

export function Queues() {
  const [found, setFound] = useState(null);
  const [most, setMost] = useState(MOST);
  const [asked, setAsked] = useState(0);
  const list = useRef(null);
  const focusAt = useRef(-1);
  const kind = chosen.value;
  const revision = store.value?.revision;
  useEffect(() => {
    let timer = 0;
    const controller = new AbortController();
    const ask = async () => {
      try {
        const data = await getJson("/api/queues", { kind, count: most }, { signal: controller.signal });
        setFound(data);
        const first = Object.keys(QUEUES).find((one) => data.counts[one]);
        if (!kind && first) chosen.value = first;
        if (!data.ready) timer = setTimeout(ask, PAUSE);
      } catch (error) {
        if (error.name !== "AbortError" && error.status) complain(error);
      }
    };
    void ask();
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [kind, most, revision, asked]);
  useEffect(() => {
    // A key has opened the panel before there was anything to go to.
    if (document.activeElement?.id === "queues") document.querySelector("#queues .queue-tile, #queues button")?.focus();
    // What had the focus is gone after a change; the next image has it then.
    if (focusAt.current < 0 || !list.current) return;
    const tiles = list.current.querySelectorAll(".queue-tile");
    if (!list.current.contains(document.activeElement)) tiles[Math.min(focusAt.current, tiles.length - 1)]?.focus();
  }, [found]);
  if (!found) return html`<section id="queues" tabindex="-1" aria-label="To sort out"><h3>To sort out</h3><p class="hint">Comparing the images …</p></section>`;
  const groups = found.groups;
  const keep = async (group) => {
    try {
      await post("/api/queues/keep", { group: group.key });
      const again = () => post("/api/queues/keep", { group: group.key, keep: false }).then(() => setAsked((before) => before + 1), complain);
      notify(`${count(group.images.length, "image")} kept as they are`, { action: { label: "Show them again", run: again } });
      setAsked((before) => before + 1);
    } catch (error) {
      complain(error);
    }
  };
  const only = (group, one) => remove(targetOf(group.images.filter((other) => other.id !== one.id && !other.held_out)));
  const onKeyDown = (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "z") {
      event.preventDefault();
      event.stopPropagation();
      return void (event.shiftKey ? redo() : undo());
    }
    if (control || event.altKey) return;
    const tile = event.target.closest(".queue-tile");
    if (!tile) return;
    const tiles = [...list.current.querySelectorAll(".queue-tile")];
    const at = tiles.indexOf(tile);
    const group = groups.find((one) => one.key === tile.dataset.group);
    const one = group?.images.find((image) => image.id === tile.dataset.id);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const title = classOfKey(event.key);
    focusAt.current = at;
    if (next !== undefined) tiles[next]?.focus();
    else if (step) tiles.find((other) => other.dataset.group === groups[groups.indexOf(group) + step]?.key)?.focus();
    else if (event.key.toLowerCase() === "k") void keep(group);
    else if (event.key.toLowerCase() === "o") void only(group, one);
    else if (event.key === "Delete") void (one.held_out ? refuse() : remove(targetOf([one])));
    else if (title !== null) void (one.held_out ? refuse() : move(targetOf([one]), title));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<section id="queues" class="queues" tabindex="-1" aria-labelledby="queues-title">
    <h3 id="queues-title">To sort out</h3>
    <div class="queue-kinds" role="group" aria-label="Queues">
      ${Object.entries(QUEUES).map(([name, label]) => html`<button key=${name} type="button" class="choice" aria-pressed=${kind === name} onClick=${() => ((focusAt.current = -1), (chosen.value = name))}><span class="choice-name">${label}</span><span class="choice-count" aria-label=${count(found.counts[name], "group")}>${number(found.counts[name])}</span></button>`)}
    </div>
    ${found.ready ? null : html`<p class="hint" role="status">Comparing: ${number(found.done)} of ${count(found.total, "image")}</p>`}
    ${found.trouble ? html`<p class="hint">Only images with the same bytes are found: ${found.trouble}</p>` : null}
    ${found.left_out ? html`<p class="hint">${count(found.left_out, "image")} of the store not compared.</p>` : null}
    ${found.ready && !Object.values(found.counts).some(Boolean) ? html`<p class="hint">Nothing: no two images are nearly the same${found.kept ? `, apart from ${count(found.kept, "group")} that you keep` : ""}.</p>` : null}
    <ul class="queue-groups" ref=${list} onKeyDown=${onKeyDown}>
      ${groups.map(
        (group, place) => html`<li key=${group.key} aria-label=${`Group ${place + 1}`}>
          <ul class="queue-images">${group.images.map((one) => html`<${Tile} key=${one.id} one=${one} group=${group} only=${() => only(group, one)} />`)}</ul>
          <div class="buttons"><button type="button" class="button button-quiet" title="K" onClick=${() => keep(group)}>Keep all</button></div>
        </li>`,
      )}
    </ul>
    ${kind && found.counts[kind] > groups.length && groups.length === most ? html`<div class="buttons"><button type="button" class="button" onClick=${() => setMost(most + MOST)}>Show more</button></div>` : null}
  </section>`;
}

const refuse = () => notify("It is held out", { hint: "The page changes no held-out image. Change the one in the store." });

function Tile({ one, group, only }) {
  const where = one.held_out ? `${titleText(one.class)}, held out` : titleText(one.class);
  return html`<li>
    <button type="button" class="queue-tile" data-group=${group.key} data-id=${one.id} aria-label=${`${one.name}, ${where}: show it large`} title=${`${one.class}/${one.name}`} onClick=${() => (openImage.value = { id: one.id, index: null, hash: one.content_hash })}><img src=${`/thumbnails/${one.content_hash}`} alt="" loading="lazy" /></button>
    <p class="queue-words" title=${`${one.class}/${one.name}`}><b>${titleText(one.class)}</b>${one.held_out ? html` <span class="hint">held out</span>` : null}</p>
    ${one.held_out
      ? null
      : html`<div class="queue-actions">
          <button type="button" class="link-button" title="O: delete the others" aria-label=${`Only ${one.name} in ${one.class}: delete the others`} onClick=${only}>Only this</button>
          <button type="button" class="icon-button" title="Delete" aria-label=${`Delete ${one.name} in ${one.class}`} onClick=${() => remove(targetOf([one]))}><${Icon} name="trash" /></button>
        </div>`}
  </li>`;
}

// Questions: a new class, and what can be done with a class.
import { useState } from "/static/vendor/preact-hooks.js";
import { classes, dialog, filter, setFilter } from "../state/app_state.js";
import { count } from "../format.js";
import { html, Icon, Modal } from "../ui.js";
import { createClass, mergeClasses, renameClass } from "./actions.js";
import { classOfKey, hotkeys, objection, setHotkey } from "./class_keys.js";
import { findSimilar } from "./similar_titles.js";

const close = () => (dialog.value = null);

/** The name of a class, with "did you mean". */
function TitleForm({ label, action, first = "", onTitle, others }) {
  const [title, setTitle] = useState(first);
  const wanted = title.trim();
  const exists = others.includes(wanted);
  const similar = findSimilar(wanted, others);
  const trouble = exists ? `There is a class ${wanted} already.` : /[\\/\0]/.test(wanted) || wanted.startsWith(".") ? "A class is a folder: no slash, and no dot at the start." : "";
  return html`<form
    onSubmit=${(event) => {
      event.preventDefault();
      if (wanted && !trouble && wanted !== first) onTitle(wanted);
    }}
  >
    <label>${label}<input type="text" value=${title} data-first autocomplete="off" aria-describedby="title-hint" onInput=${(event) => setTitle(event.target.value)} /></label>
    <p class="hint" id="title-hint" role="status">
      ${trouble || (similar ? html`Did you mean <button type="button" class="link" onClick=${() => setTitle(similar)}>${similar}</button>?` : "")}
    </p>
    <button class="button button-main" disabled=${!wanted || Boolean(trouble) || wanted === first}>${action}</button>
  </form>`;
}

const titles = () => classes.value.map((one) => one.title).filter(Boolean);

export function CreateClass() {
  const onTitle = (title) => {
    close();
    void createClass(title);
  };
  return html`<${Modal} label="New class" className="small" onClose=${close}>
    <${Head} title="New class" />
    <${TitleForm} label="Title" action="Make the class" onTitle=${onTitle} others=${titles()} />
  <//>`;
}

function Head({ title }) {
  return html`<header class="modal-head">
    <h2>${title}</h2>
    <button type="button" class="icon-button" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
  </header>`;
}

export function ClassDialog({ question }) {
  const { title } = question;
  const entry = classes.value.find((one) => one.title === title);
  const others = titles().filter((one) => one !== title);
  const [into, setInto] = useState("");
  const [keyTrouble, setKeyTrouble] = useState("");
  const follow = async (work, to) => {
    close();
    if ((await work) && filter.value.class === title) setFilter({ class: to });
  };
  const onKeyDown = (event) => {
    if (event.key === "Tab" || event.key === "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Backspace" || event.key === "Delete") {
      setKeyTrouble("");
      setHotkey(title, "");
      return;
    }
    const trouble = objection(event.key);
    const taken = !trouble && classOfKey(event.key);
    setKeyTrouble(trouble || (taken && taken !== title ? `${taken} had this key and has none now.` : ""));
    if (!trouble) setHotkey(title, event.key);
  };
  return html`<${Modal} label=${`Class ${title}`} className="small" onClose=${close}>
    <${Head} title=${title} />
    <p class="hint">${count(entry?.images ?? 0, "image")}</p>
    <section>
      <label>Hotkey
        <input type="text" class="key-input" readonly value=${hotkeys.value.get(title) ?? ""} placeholder="none" aria-describedby="key-hint" onKeyDown=${onKeyDown} />
      </label>
      <p class="hint" id="key-hint" role="status">${keyTrouble || "Press a key here; Backspace for none."}</p>
    </section>
    <section><${TitleForm} label="New title" action="Rename" first=${title} others=${others} onTitle=${(to) => follow(renameClass(title, to), to)} /></section>
    ${others.length
      ? html`<section>
          <label>Merge into
            <select value=${into} onChange=${(event) => setInto(event.target.value)}>
              <option value="">Choose a class</option>
              ${others.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
            </select>
          </label>
          <button type="button" class="button" disabled=${!into} onClick=${() => follow(mergeClasses(title, into), into)}>Merge</button>
        </section>`
      : null}
  <//>`;
}

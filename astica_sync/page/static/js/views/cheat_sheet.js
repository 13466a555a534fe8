// The list of all keys.
import { dialog } from "../state/app_state.js";
import { COMMANDS, GRID_KEYS, IMAGE_KEYS, POINTER_WAYS, QUEUE_KEYS } from "../changes/commands.js";
import { hotkeys } from "../changes/class_keys.js";
import { html, Icon, Modal } from "../ui.js";

export function CheatSheet() {
  const close = () => (dialog.value = null);
  const groups = new Map();
  for (const one of COMMANDS) {
    if (!one.keys) continue;
    if (!groups.has(one.group)) groups.set(one.group, []);
    groups.get(one.group).push([one.keys, one.title]);
  }
  const keys = [...hotkeys.value].map(([title, key]) => [key, title]);
  const table = (title, rows) => html`<section key=${title}>
    <h3>${title}</h3>
    <dl>${rows.map(([key, text]) => html`<div key=${key + text}><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
  </section>`;
  return html`<${Modal} label="List of keys" className="keys" onClose=${close}>
    <header class="modal-head"><h2>Keys</h2><button type="button" class="icon-button" aria-label="Close" data-first onClick=${close}><${Icon} name="close" /></button></header>
    <div class="keys-columns" tabindex="0" role="group" aria-label="Keys">
      ${keys.length ? table("Move to a class", keys) : null}
      ${table("Among the images", GRID_KEYS)}
      ${[...groups].map(([title, rows]) => table(title, rows))}
      ${table("One image large", IMAGE_KEYS)}
      ${table("Among images to sort out", QUEUE_KEYS)}
      ${table("With a pointer", POINTER_WAYS)}
    </div>
  <//>`;
}

// Asks for the class of files that were dropped beside the classes.
import { useState } from "/static/vendor/preact-hooks.js";
import { classes, dialog } from "../state/app_state.js";
import { classesOfFolders, upload } from "../changes/uploads.js";
import { findSimilar } from "../changes/similar_titles.js";
import { count, number } from "../format.js";
import { html, Modal } from "../ui.js";

export function UploadDialog({ question }) {
  const [byFolder] = useState(() => classesOfFolders(question.files));
  const folders = [...new Set(byFolder?.values() ?? [])];
  const [title, setTitle] = useState(folders.length === 1 ? folders[0] : "");
  const [each, setEach] = useState(folders.length > 1);
  const close = () => (dialog.value = null);
  const titles = classes.value.map((one) => one.title).filter(Boolean);
  const similar = findSimilar(title, titles);
  const submit = (event) => {
    event.preventDefault();
    if (!each && !title.trim()) return;
    close();
    void upload(question.files, each ? byFolder : title.trim());
  };
  return html`<${Modal} label="Class of the files" className="small" onClose=${close}>
    <h2>Add ${count(question.files.length, "file")} to</h2>
    <form onSubmit=${submit}>
      ${folders.length > 1
        ? html`<label class="option"><input type="checkbox" checked=${each} onChange=${(event) => setEach(event.target.checked)} /><span>Each folder is a class<span class="hint">${folderWords(folders, titles)}</span></span></label>`
        : null}
      ${each
        ? null
        : html`<label>Class<input type="text" list="upload-classes" value=${title} data-first autocomplete="off" onInput=${(event) => setTitle(event.target.value)} /></label>
            <datalist id="upload-classes">${titles.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
            <p class="hint" role="status">
              ${similar ? html`Did you mean <button type="button" class="link" onClick=${() => setTitle(similar)}>${similar}</button>?` : title.trim() && !titles.includes(title.trim()) ? "This makes a new class." : ""}
            </p>`}
      <div class="buttons"><button type="button" class="button button-quiet" onClick=${close}>Cancel</button><button class="button button-main" data-first=${each} disabled=${!each && !title.trim()}>Add</button></div>
    </form>
  <//>`;
}

const MOST_NAMED = 6;

function folderWords(folders, titles) {
  const names = [...folders].sort().slice(0, MOST_NAMED).map((one) => (titles.includes(one) ? one : `${one} (new)`));
  const more = folders.length - names.length;
  return `${names.join(", ")}${more ? ` and ${number(more)} more` : ""}`;
}

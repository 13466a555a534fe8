// Asks for the class of files that were dropped beside the classes.
import { useState } from "/static/vendor/preact-hooks.js";
import { classes, dialog } from "../state/app_state.js";
import { upload } from "../changes/uploads.js";
import { findSimilar } from "../changes/similar_titles.js";
import { count } from "../format.js";
import { html, Modal } from "../ui.js";

export function UploadDialog({ question }) {
  const [title, setTitle] = useState("");
  const close = () => (dialog.value = null);
  const titles = classes.value.map((one) => one.title).filter(Boolean);
  const similar = findSimilar(title, titles);
  const submit = (event) => {
    event.preventDefault();
    if (!title.trim()) return;
    close();
    void upload(question.files, title.trim());
  };
  return html`<${Modal} label="Class of the files" className="small" onClose=${close}>
    <h2>Add ${count(question.files.length, "file")} to</h2>
    <form onSubmit=${submit}>
      <label>Class<input type="text" list="upload-classes" value=${title} data-first autocomplete="off" onInput=${(event) => setTitle(event.target.value)} /></label>
      <datalist id="upload-classes">${titles.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
      <p class="hint" role="status">
        ${similar ? html`Did you mean <button type="button" class="link" onClick=${() => setTitle(similar)}>${similar}</button>?` : title.trim() && !titles.includes(title.trim()) ? "This makes a new class." : ""}
      </p>
      <div class="buttons"><button type="button" class="button button-quiet" onClick=${close}>Cancel</button><button class="button button-main" disabled=${!title.trim()}>Add</button></div>
    </form>
  <//>`;
}

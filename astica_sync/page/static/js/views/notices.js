// Messages in the corner: what was done, with undo; what went wrong, with what helps.
import { dismiss, notices } from "../state/app_state.js";
import { uploading } from "../changes/uploads.js";
import { html, Icon } from "../ui.js";

const MOST_DETAILS = 6;

export function Notices() {
  const files = uploading.value;
  return html`<div class="notices" role="region" aria-label="Messages">
    ${files ? html`<div class="notice"><div class="notice-text"><p>Adding files: ${files.done} of ${files.total}</p><progress aria-label="Files added" value=${files.done} max=${files.total}></progress></div></div>` : null}
    ${notices.value.map(
      (one) => html`<div key=${one.id} class=${`notice ${one.error ? "is-error" : ""}`}>
        <${Icon} name=${one.error ? "problem" : "on-service"} />
        <div class="notice-text">
          <p>${one.text}</p>
          ${one.hint ? html`<p class="hint">${one.hint}</p>` : null}
          ${one.details.length
            ? html`<ul>${one.details.slice(0, MOST_DETAILS).map((detail, at) => html`<li key=${at}>${detail}</li>`)}${one.details.length > MOST_DETAILS ? html`<li>and ${one.details.length - MOST_DETAILS} more</li>` : null}</ul>`
            : null}
        </div>
        ${one.action ? html`<button type="button" class="button button-quiet" onClick=${() => (dismiss(one.id), one.action.run())}>${one.action.label}</button>` : null}
        <button type="button" class="icon-button" aria-label="Close the message" onClick=${() => dismiss(one.id)}><${Icon} name="close" /></button>
      </div>`,
    )}
  </div>`;
}

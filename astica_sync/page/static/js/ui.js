// What all components use: the template tag, hooks, icons, and a modal dialog.
import { h } from "/static/vendor/preact.js";
import htm from "/static/vendor/htm.js";
import { useLayoutEffect, useRef } from "/static/vendor/preact-hooks.js";

export const html = htm.bind(h);

export function Icon({ name, label }) {
  return html`<svg class="icon" aria-hidden=${label ? null : "true"} role=${label ? "img" : null} aria-label=${label}>
    <use href=${`#i-${name}`} />
  </svg>`;
}

/** A modal dialog: the browser keeps the focus inside, and gives it back when it closes. */
export function Modal({ label, className = "", onClose, children }) {
  const ref = useRef(null);
  // Before the next key, not after the next frame: who types on is not to lose letters.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    dialog.querySelector("[data-first]")?.focus();
    return () => dialog.open && dialog.close();
  }, []);
  return html`<dialog
    ref=${ref}
    class=${`modal ${className}`}
    aria-label=${label}
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}
    onClick=${(event) => event.target === ref.current && onClose()}
  >
    ${children}
  </dialog>`;
}

export function IconButton({ icon, label, keys, ...rest }) {
  const title = keys ? `${label} (${keys})` : label;
  return html`<button type="button" class="icon-button" aria-label=${label} title=${title} ...${rest}>
    <${Icon} name=${icon} />
  </button>`;
}

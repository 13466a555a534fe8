// Starts the page.
import { render } from "/static/vendor/preact.js";
import "/static/vendor/preact-signals.js";
import { startAddress } from "./state/address.js";
import { startLoading, loadStore } from "./state/load.js";
import { startEvents } from "./state/live_events.js";
import { onKey } from "./changes/commands.js";
import { onPaste } from "./changes/uploads.js";
import { App } from "./views/app.js";
import { html } from "./ui.js";

startAddress();
startLoading();
const root = document.querySelector("#app");
root.replaceChildren();
render(html`<${App} />`, root);
// The page shows by itself whether the command answers.
loadStore().catch(() => {}).finally(startEvents);
window.addEventListener("keydown", onKey);
window.addEventListener("paste", onPaste);

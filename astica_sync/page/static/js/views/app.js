// The whole page.
import { useState } from "/static/vendor/preact-hooks.js";
import { announcement, connection, dialog, filter, openImage, panel, store } from "../state/app_state.js";
import { filesOf, hasFiles, upload } from "../changes/uploads.js";
import { ClassDialog, CreateClass } from "../changes/class_dialogs.js";
import { Palette } from "../changes/palette.js";
import { Gallery } from "../gallery/gallery.js";
import { PredictPanel } from "../predict/predict_panel.js";
import { VersionsPanel } from "../versions/versions_panel.js";
import { html } from "../ui.js";
import { CheatSheet } from "./cheat_sheet.js";
import { ImageView } from "./image_view.js";
import { FiltersOn } from "./more_filters.js";
import { Notices } from "./notices.js";
import { PushPanel } from "./push_panel.js";
import { SelectionBar } from "./selection_bar.js";
import { Sidebar } from "./sidebar.js";
import { TopBar } from "./top_bar.js";
import { UploadDialog } from "./upload_dialog.js";

const DIALOGS = { palette: Palette, keys: CheatSheet, create: CreateClass, class: ClassDialog, upload: UploadDialog };

export function App() {
  const [over, setOver] = useState(false);
  const Dialog = DIALOGS[dialog.value?.kind];
  const title = filter.value.class ?? store.value?.store.name;
  document.title = title ? `${title} · astica-sync` : "astica-sync";
  const onDrop = async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    setOver(false);
    await upload(await filesOf(event.dataTransfer));
  };
  return html`<div
    class=${`app ${panel.value ? "has-panel" : ""}`}
    onDragOver=${(event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    }}
    onDragLeave=${(event) => event.relatedTarget === null && setOver(false)}
    onDrop=${onDrop}
  >
    <${Connection} />
    <${TopBar} />
    <div class="middle">
      <${Sidebar} />
      <main class=${over ? "is-over" : ""} aria-label="Images">
        <${FiltersOn} />
        <${Gallery} />
        <${SelectionBar} />
      </main>
      ${panel.value === "push" ? html`<${PushPanel} />` : null}
      ${panel.value === "versions" ? html`<${VersionsPanel} />` : null}
      ${panel.value === "predict" ? html`<${PredictPanel} />` : null}
    </div>
    <${Notices} />
    ${openImage.value ? html`<${ImageView} key="image" />` : null}
    ${Dialog ? html`<${Dialog} key=${dialog.value.kind} question=${dialog.value} />` : null}
    <div class="rectangle" hidden></div>
    <div class="drag-picture" aria-hidden="true"></div>
    <div class="for-readers" role="status" aria-live="polite">${announcement.value}</div>
  </div>`;
}

function Connection() {
  if (connection.value === "ok") return null;
  return html`<div class="banner" role="alert">
    ${connection.value === "lost"
      ? html`<strong>The command does not answer.</strong> Trying again … Start it in the same folder: <code>astica-sync page</code>`
      : html`<strong>The command was started again.</strong> Open the address that it prints in this browser; this tab goes on then.`}
  </div>`;
}

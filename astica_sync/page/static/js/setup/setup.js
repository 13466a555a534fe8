// Makes a store where there is none: a folder, the service or a sandbox, a key, and a model.
import { h, render } from "/static/vendor/preact.js";
import htm from "/static/vendor/htm.js";
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { getJson, post } from "../state/api.js";

const html = htm.bind(h);

/** The path of a folder, completed while it is typed. */
function Folder({ path, setPath }) {
  const [found, setFound] = useState([]);
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(false);
  const asking = useRef(null);
  useEffect(() => {
    asking.current?.abort();
    asking.current = new AbortController();
    getJson("/api/setup/folders", { text: path }, { signal: asking.current.signal }).then(({ folders }) => {
      setFound(folders);
      setAt(-1);
    }, () => {});
  }, [path]);
  const take = (one) => {
    setPath(`${one.path}/`);
    setAt(-1);
  };
  const shown = open && found.length > 0;
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      setOpen(true);
      setAt((at + step + found.length) % found.length);
    } else if (event.key === "Tab" && !event.shiftKey && shown && at < 0 && found.length === 1 && `${found[0].path}/` !== path) take(found[0]);
    else if (event.key === "Enter" && shown && at >= 0) take(found[at]);
    else if (event.key === "Escape" && shown) setOpen(false);
    else return;
    event.preventDefault();
  };
  return html`<div class="folder">
    <label class="field">Folder
      <input type="text" name="folder" role="combobox" required autocomplete="off" spellcheck="false" autofocus
        aria-expanded=${shown} aria-controls="folders" aria-autocomplete="list" aria-activedescendant=${shown && at >= 0 ? `folder-${at}` : null} aria-describedby="folder-hint"
        value=${path} onInput=${(event) => (setOpen(true), setPath(event.target.value))} onBlur=${() => setOpen(false)} onKeyDown=${onKeyDown} />
    </label>
    <ul id="folders" class="folders" role="listbox" aria-label="Folders" hidden=${!shown}>
      ${found.map((one, index) => html`<li key=${one.path} id=${`folder-${index}`} role="option" aria-selected=${index === at} onPointerDown=${(event) => (event.preventDefault(), take(one))}><span>${one.path}</span>${one.is_store ? html`<span class="hint">store</span>` : null}</li>`)}
    </ul>
    <p class="hint" id="folder-hint">It has one sub-folder with images for each class. A folder that is a store already is opened.</p>
  </div>`;
}

function Setup() {
  const [known, setKnown] = useState(null);
  const [path, setPath] = useState("");
  const [sandbox, setSandbox] = useState(false);
  const [existing, setExisting] = useState(false);
  const [trouble, setTrouble] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    getJson("/api/setup").then((data) => {
      setKnown(data);
      // Who has typed already keeps that.
      setPath((before) => before || `${data.folder}/`);
    }, (error) => setTrouble({ error: error.message, hint: error.hint }));
  }, []);
  const onSubmit = async (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const text = (name) => String(data.get(name) ?? "");
    setBusy(true);
    setTrouble(null);
    try {
      await post("/api/setup", {
        folder: path,
        sandbox,
        key: text("key"),
        title: existing ? "" : text("title"),
        purpose: existing ? "" : text("purpose"),
        model: existing && text("model") ? Number(text("model")) : null,
        anyway: data.get("anyway") === "on",
      });
      location.reload();
    } catch (error) {
      setTrouble({ error: error.message, hint: error.hint });
      setBusy(false);
    }
  };
  return html`<form onSubmit=${onSubmit} aria-labelledby="setup-title">
    <header><h1 id="setup-title">Make a store</h1><p class="intro">A store is a folder of images that a model on the service mirrors. Nothing is uploaded until you push.</p></header>
    <${Folder} path=${path} setPath=${setPath} />
    <fieldset>
      <legend>Service</legend>
      <label class="option"><input type="radio" name="where" checked=${!sandbox} onChange=${() => setSandbox(false)} /><span>Your account at the service</span></label>
      ${sandbox ? null : html`<div class="sub"><label class="field">API key<input type="password" name="key" autocomplete="off" required=${known !== null && !known.has_key} aria-describedby="key-hint" /></label>
        <p class="hint" id="key-hint">${known?.has_key ? "A key was found on this machine; type one only to use another." : "It stays in this process and is written nowhere. To keep it, see ASTICA_API_KEY and the system keyring in the manual."}</p></div>`}
      <label class="option"><input type="radio" name="where" checked=${sandbox} onChange=${() => setSandbox(true)} /><span>A sandbox on this machine<span class="hint">To try it out: a stand-in for the service, without a key. It ends with this page.</span></span></label>
    </fieldset>
    <fieldset>
      <legend>Model</legend>
      <label class="option"><input type="radio" name="model-is" checked=${!existing} onChange=${() => setExisting(false)} /><span>A new one</span></label>
      ${existing ? null : html`<div class="sub"><label class="field">Title<input type="text" name="title" autocomplete="off" /></label><label class="field">Purpose<input type="text" name="purpose" autocomplete="off" placeholder="what it is for" /></label></div>`}
      <label class="option"><input type="radio" name="model-is" checked=${existing} onChange=${() => setExisting(true)} /><span>One of your account</span></label>
      ${existing ? html`<div class="sub"><label class="field">Number<input type="number" name="model" min="1" required /></label></div>` : null}
    </fieldset>
    ${trouble ? html`<p class="trouble" role="alert"><b>${trouble.error}</b> ${trouble.hint}</p>` : null}
    ${trouble?.hint?.includes("--yes") || trouble?.error?.includes("--yes") ? html`<label class="option"><input type="checkbox" name="anyway" /><span>Make this folder the store all the same</span></label>` : null}
    <div class="buttons"><button class="button button-main" disabled=${busy}>${busy ? "Making the store …" : "Make the store"}</button></div>
  </form>`;
}

const root = document.querySelector("#app");
root.replaceChildren();
render(html`<${Setup} />`, root);

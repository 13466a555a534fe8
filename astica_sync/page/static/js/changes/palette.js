// The command palette: type a part of what is wanted. With images selected, classes to move them to come first.
import { useEffect, useRef, useState } from "/static/vendor/preact-hooks.js";
import { classes, dialog } from "../state/app_state.js";
import { count } from "../format.js";
import { html, Modal } from "../ui.js";
import { target } from "../gallery/gallery.js";
import { createClass, move } from "./actions.js";
import { COMMANDS, viewCommands } from "./commands.js";
import { hotkeys } from "./class_keys.js";
import { findSimilar, fit } from "./similar_titles.js";

const MOST = 60;

function bestFit(text, one) {
  const ofClass = one.sort === undefined ? null : fit(text, one.sort);
  return ofClass === null ? fit(text, one.title) : ofClass + 1;
}

function offers(typed, wanted, onlyMove) {
  const titles = classes.value.map((one) => one.title).filter(Boolean);
  const text = typed.trim();
  const what = wanted ? count(wanted.count, "image") : "";
  const moves = wanted
    ? titles.map((title) => ({ id: `move-${title}`, title: `Move ${what} to ${title}`, sort: title, keys: hotkeys.value.get(title), run: () => move(wanted, title) }))
    : [];
  const others = onlyMove ? [] : [...COMMANDS.filter((one) => one.id !== "palette" && (one.when?.() ?? true)), ...viewCommands()];
  const scored = (list, bonus) =>
    list
      .map((one) => ({ one, score: text ? bestFit(text, one) : 0, bonus }))
      .filter(({ score }) => score !== null);
  const found = [...scored(moves, 1), ...scored(others, 0)];
  if (text) found.sort((a, b) => b.score + b.bonus - a.score - a.bonus);
  const list = found.map(({ one }) => one).slice(0, MOST);
  if (!text || titles.includes(text)) return list;
  const similar = findSimilar(text, titles);
  if (similar && !list.some((one) => one.sort === similar)) {
    const meant = wanted
      ? { id: "meant", title: `Did you mean ${similar}? Move ${what} there`, run: () => move(wanted, similar) }
      : { id: "meant", title: `Did you mean class ${similar}?`, run: () => viewCommands().find((one) => one.id === `class-${similar}`).run() };
    list.unshift(meant);
  }
  list.push(
    wanted
      ? { id: "new", title: `Make class “${text}” and move ${what} there`, run: () => move(wanted, text) }
      : { id: "new", title: `Make class “${text}”`, run: () => createClass(text) },
  );
  return list;
}

export function Palette({ question }) {
  const [typed, setTyped] = useState(question.text ?? "");
  const [at, setAt] = useState(0);
  // Before the dialog took the focus, it was on the image that is meant.
  const [wanted] = useState(() => question.wanted ?? target());
  const list = useRef(null);
  const found = offers(typed, wanted, Boolean(question.wanted));
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen, typed]);
  const close = () => (dialog.value = null);
  const run = (one) => {
    close();
    one.run();
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      setAt((chosen + step + found.length) % found.length);
    } else if (event.key === "Enter" && found[chosen]) {
      event.preventDefault();
      run(found[chosen]);
    }
  };
  const label = question.wanted ? `Move ${count(wanted.count, "image")} to` : "Command";
  return html`<${Modal} label=${label} className="palette" onClose=${close}>
    <input
      type="text"
      role="combobox"
      aria-expanded="true"
      aria-controls="palette-list"
      aria-activedescendant=${found[chosen] ? `palette-${chosen}` : null}
      aria-label=${label}
      aria-autocomplete="list"
      placeholder=${question.wanted ? `${label} …` : "Type a command or a class"}
      autocomplete="off"
      spellcheck="false"
      data-first
      value=${typed}
      onInput=${(event) => {
        setTyped(event.target.value);
        setAt(0);
      }}
      onKeyDown=${onKeyDown}
    />
    <ul id="palette-list" role="listbox" aria-label="Offers" ref=${list}>
      ${found.map(
        (one, index) => html`<li
          key=${one.id}
          id=${`palette-${index}`}
          role="option"
          aria-selected=${index === chosen}
          onPointerMove=${() => index !== chosen && setAt(index)}
          onClick=${() => run(one)}
        >
          <span>${one.title}</span>${one.keys ? html`<kbd>${one.keys}</kbd>` : null}
        </li>`,
      )}
    </ul>
  <//>`;
}

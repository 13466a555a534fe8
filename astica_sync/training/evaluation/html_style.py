"""How the report of an evaluation looks, and what a browser may load for it: nothing."""

_HEAD = "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
REPORT_START = f"{_HEAD}<meta name='generator' content='astica-sync'>\n"
"""How every report begins, so that the next one may replace it."""
EARLIER_START = f'{_HEAD}<meta http-equiv="Content-Security-Policy" content="'
"""How it began before it named its program."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The content security policy: the browser loads nothing, even if a name in the page contained markup."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --faint: #5f6873; --line: #d8dee4; --cell: #f3f5f7; --paper: #fff;
        --good: 46, 125, 80; --bad: 197, 62, 48; --one: #1f6fb5; --two: #b4560b }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --faint: #98a1ab; --line: #3a424c; --cell: #1d232a; --paper: #14181d; --good: 80, 180, 120;
          --bad: 230, 100, 85; --one: #6cb2f0; --two: #f0a35e }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem;
       margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.5rem } h3 { font-size: 1rem }
h4 { font-size: .95rem; margin: 1rem 0 .4rem }
.faint { color: var(--faint) } a { color: inherit; text-underline-offset: .2em }
table { border-collapse: collapse; margin: .75rem 0 } .wide { overflow-x: auto }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 8rem; max-width: 24rem }
th { font-weight: 600 }
.matrix td { background: var(--cell); border: 1px solid var(--paper); min-width: 1.8rem; text-align: center }
.matrix td, .matrix .vertical { padding: .2rem .3rem }
.matrix td a { display: block; margin: -.2rem -.3rem; padding: .2rem .3rem; text-decoration: none }
.matrix td a:hover, .matrix td a:focus { outline: 2px solid var(--one) }
.matrix th { border: 0 } .matrix thead th { text-align: center; vertical-align: bottom }
.matrix th:first-child { position: sticky; left: 0; background: var(--paper); max-width: 11rem; overflow: hidden;
                         text-overflow: ellipsis; white-space: nowrap }
.matrix .vertical span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 10rem; overflow: hidden;
                        text-overflow: ellipsis; text-align: left; display: inline-block }
.verdict { border-left: 4px solid var(--line); padding: .4rem .9rem; margin: .75rem 0 }
.real { border-color: rgb(var(--bad)) }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0 }
figure { margin: 0; width: 8.5rem; font-size: .85rem } figure img { width: 96px; height: 96px; object-fit: contain;
         background: rgba(128, 128, 128, .15); border-radius: 4px }
figcaption b { color: rgb(var(--bad)) } .right figcaption b { color: rgb(var(--good)) }
.group { display: inline-block; vertical-align: top; max-width: 100%; margin: 0 1.5rem 0 -.85rem; padding-left: .6rem;
         scroll-margin-top: 1rem; border-left: 4px solid transparent }
.group h4, .group > p { width: 0; min-width: max(8.5rem, 100%) }
.group:target { border-color: var(--one) } .right { display: none } .right:target { display: block }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 14rem), 1fr)); gap: 1rem }
.curves figure { width: auto } .curves svg { width: 100%; height: auto; display: block }
svg text { font: 9px system-ui, sans-serif; fill: var(--faint) } svg .grid { stroke: var(--line); fill: none }
.precision { stroke: var(--one); fill: none; stroke-width: 2 }
.recall { stroke: var(--two); fill: none; stroke-width: 2; stroke-dasharray: 5 3 }
.key svg { width: 2rem; height: .7rem; vertical-align: middle; margin: 0 .3rem 0 1rem }
.plot svg { width: 9rem; height: 1.2rem; vertical-align: middle } .plot line { stroke: var(--faint); stroke-width: 2 }
.plot .zero { stroke-width: 1; stroke: var(--ink) } .plot circle { fill: var(--ink) }
.plot .up line, .plot .up circle { stroke: rgb(var(--good)); fill: rgb(var(--good)) }
.plot .down line, .plot .down circle { stroke: rgb(var(--bad)); fill: rgb(var(--bad)) }
.large { display: none } .large:target { display: grid; place-items: center; position: fixed; inset: 0; z-index: 2;
         overflow: auto; padding: 1rem; background: rgba(0, 0, 0, .8) }
.large .around { position: absolute; inset: 0 }
.large figure { position: relative; width: min(32rem, 100%); box-sizing: border-box; padding: 1rem; font-size: 1rem;
                background: var(--paper); border-radius: 8px }
.large svg { width: 100%; height: auto; max-height: 60vh } .store { position: absolute; width: 0; height: 0 }
"""

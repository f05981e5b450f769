// What pages gain from scripts: they refresh themselves while a resync runs, the filter answers while one types, and
// "/" goes to the filter. Everything works without it.
"use strict";

const wait = 150;

async function fetched(url, signal) {
  const answer = await fetch(url, { signal, headers: { accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Takes the new content over without closing what was opened or moving the focus.
function renew(main, fresh) {
  if (main.innerHTML === fresh.innerHTML) return;
  const open = [...main.querySelectorAll("details")].map((d) => d.open);
  main.replaceChildren(...fresh.childNodes);
  [...main.querySelectorAll("details")].forEach((d, i) => { if (open[i]) d.open = true; });
}

function busy() {
  const at = document.activeElement;
  return document.hidden || (at && at.closest("main form, main details, main table")) || String(getSelection());
}

function refresh() {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  setTimeout(async () => {
    try {
      if (!busy()) {
        const fresh = (await fetched(location.href)).querySelector("main");
        if (fresh) {
          renew(main, fresh);
          if (!fresh.hasAttribute("data-live")) main.removeAttribute("data-live");
        }
      }
    } catch { /* the server is gone for a moment: the next turn asks again */ }
    refresh();
  }, Number(main.dataset.live));
}

function filterWhileTyping() {
  const input = document.querySelector("input[data-filter]");
  if (!input) return;
  let timer, running;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      running?.abort();
      running = new AbortController();
      const url = `${input.form.action}?${new URLSearchParams(new FormData(input.form))}`;
      try {
        const fresh = (await fetched(url, running.signal)).querySelector("#results");
        if (fresh) document.querySelector("#results").replaceWith(fresh);
        history.replaceState(null, "", url);
      } catch { /* aborted by the next key, or the server is gone: the button still works */ }
    }, wait);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  const input = document.querySelector("main input, main textarea");
  if (input) { event.preventDefault(); input.focus(); }
});

refresh();
filterWhileTyping();

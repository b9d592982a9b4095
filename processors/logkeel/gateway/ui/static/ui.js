// Makes pages live; everything they show is made by the server, and is there without this script, too.
"use strict";

const begun = new WeakMap();

function words(milliseconds) {
  const units = [["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000]];
  const parts = [];
  let left = Math.max(0, milliseconds);
  for (const [unit, size] of units) {
    const count = Math.floor(left / size);
    left %= size;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(" ");
}

function count() {
  for (const each of document.querySelectorAll("[data-ms]")) {
    if (!begun.has(each)) begun.set(each, performance.now());
    each.textContent = words(Number(each.dataset.ms) + performance.now() - begun.get(each));
  }
}

async function renew() {
  const answer = await fetch(`${location.pathname}/live`, { credentials: "same-origin" });
  if (answer.redirected || !answer.ok) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  const old = document.getElementById("live");
  for (const each of fresh.querySelectorAll("details[id]")) {
    const before = document.getElementById(each.id);
    if (before) each.open = before.open;
  }
  const scrolled = old.querySelector(".drawing")?.scrollLeft ?? 0;
  old.replaceWith(fresh);
  const drawing = fresh.querySelector(".drawing");
  if (drawing) drawing.scrollLeft = scrolled;
  count();
}

function follow(address) {
  const source = new EventSource(address);
  let asked = false;
  let again = false;
  const changed = async () => {
    // However many events come, one page is loaded at a time, and one more behind the last event.
    again = true;
    if (asked) return;
    asked = true;
    while (again) {
      again = false;
      try { await renew(); } catch { /* the stream comes back by itself, and with it the next event */ }
    }
    asked = false;
  };
  source.addEventListener("run_event", changed);
  source.addEventListener("emitted", (event) => {
    const said = JSON.parse(event.data);
    const section = document.getElementById("emitted");
    const text = typeof said.value === "string" ? said.value : JSON.stringify(said.value);
    section.hidden = false;
    const place = section.querySelector("pre");
    place.textContent = `${place.textContent}${said.path}: ${text}\n`.slice(-20000);
  });
  source.addEventListener("end", () => { source.close(); changed(); });
}

setInterval(count, 1000);
count();
const live = document.getElementById("live");
if (live && live.dataset.follow) follow(live.dataset.follow);

// The page is whole without this file; it adds copying, and a fresh fragment every 10 seconds.
"use strict";
(() => {
  const main = document.getElementById("main");
  const stale = document.getElementById("stale");
  const words = document.body.dataset;
  const EVERY_MS = 10000;
  let etag = null;
  let timer = 0;

  const addCopyButtons = () => {
    for (const code of main.querySelectorAll("code[data-copy]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = words.copied;
        setTimeout(() => { button.textContent = words.copy; }, 2000);
      });
      code.after(button);
    }
  };

  const swap = (html) => {
    // a table that is open stays open
    const open = [...main.querySelectorAll("details")].map((details) => details.open);
    main.innerHTML = html;
    main.querySelectorAll("details").forEach((details, i) => { details.open = open[i] || false; });
    addCopyButtons();
  };

  const showStale = (isStale) => {
    const at = main.querySelector("[data-at]");
    if (isStale && at) { stale.textContent = words.stale.replace("{at}", at.dataset.at); }
    stale.hidden = !isStale;
  };

  const refresh = async () => {
    // who reads with the keyboard or marks text is not interrupted
    const busy = main.contains(document.activeElement) || String(getSelection());
    if (!document.hidden && !busy) {
      try {
        const headers = etag ? { "If-None-Match": etag } : {};
        const answer = await fetch(main.dataset.fragment, { headers, cache: "no-store" });
        if (answer.status === 200) {
          swap(await answer.text());
          etag = answer.headers.get("ETag");
        }
        showStale(!answer.ok && answer.status !== 304);
      } catch {
        showStale(true);
      }
    }
    timer = setTimeout(refresh, EVERY_MS);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) { clearTimeout(timer); refresh(); }
  });
  addCopyButtons();
  timer = setTimeout(refresh, EVERY_MS);
})();

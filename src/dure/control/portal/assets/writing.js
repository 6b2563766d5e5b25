// Writing an application: each answer is saved when it is left or the writer pauses, and what others write
// meanwhile comes in. Without this script the page's own button saves; no merging happens here, the server does it.
(() => {
  "use strict";
  const form = document.getElementById("writing");
  if (!form || !globalThis.fetch) return;
  const said = form.dataset;
  const PAUSE = 1500, BEAT = 4000, LONGEST_WAIT = 15000;
  const line = form.querySelector("[data-save-state]");
  const live = document.getElementById("live-region");
  const fields = new Map(); // key → what this page knows of a question
  let token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  let wait = BEAT, ended = false, composing = false;

  const words = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  const state = (text, tone = "") => {
    line.textContent = text;
    line.dataset.tone = tone;
  };

  // What a question's inputs say now, as the text that is sent.
  const inputs = (slot) => [...slot.querySelectorAll("input, select, textarea")].filter(
    (one) => one.name.startsWith("f-") && one.type !== "file" && !one.matches("[data-version]"),
  );
  const text = (slot) => {
    const found = new URLSearchParams();
    for (const one of inputs(slot)) {
      if (!["radio", "checkbox"].includes(one.type) || one.checked) found.append(one.name, one.value);
    }
    return found.toString();
  };

  const know = (slot) => {
    const version = slot.querySelector("[data-version]");
    const key = slot.dataset.slot;
    const one = { key, slot, mark: slot.dataset.mark, version: version ? Number(version.value) : 0, base: text(slot), timer: 0, sending: false, held: false, refused: false };
    fields.set(key, one);
    rows(one);
    return one;
  };

  const dirty = (one) => text(one.slot) !== one.base;
  const anyDirty = () => [...fields.values()].some((one) => !("closed" in one.slot.dataset) && (dirty(one) || one.sending || one.refused));
  const guard = () => {
    form.dataset.changed = anyDirty() ? "1" : "";
  };

  // A question as the server draws it, in place of the one that is there; the caret stays where it was.
  const draw = (key, html) => {
    const old = fields.get(key);
    const made = document.createRange().createContextualFragment(html).querySelector("[data-slot]");
    if (!old || !made) return null;
    const active = old.slot.contains(document.activeElement) ? document.activeElement : null;
    if (active && active.id && active.matches("textarea, input[type=text]")) return redrawn(old, active, made);
    const name = active && active.name;
    old.slot.replaceWith(made);
    if (globalThis.htmx) htmx.process(made);
    if (name) [...made.querySelectorAll("[name]")].find((input) => input.name === name)?.focus({ preventScroll: true });
    return know(made);
  };
  // Somebody is in this text: it changes where it is, and what others put before the caret moves the caret along.
  const redrawn = (old, active, made) => {
    const { scrollTop, selectionStart, value } = active;
    const tail = value.slice(selectionStart);
    active.value = made.querySelector(`#${CSS.escape(active.id)}`).value;
    const at = tail && active.value.endsWith(tail) ? active.value.length - tail.length : Math.min(selectionStart, active.value.length);
    active.setSelectionRange(at, at);
    active.scrollTop = scrollTop;
    for (const part of ["[data-version]", ".slot-foot"]) old.slot.querySelector(part)?.replaceWith(made.querySelector(part));
    old.slot.querySelector("[data-theirs]")?.remove();
    old.slot.dataset.mark = made.dataset.mark;
    return know(old.slot);
  };

  const note = (one, message) => {
    const place = one.slot.querySelector("[data-slot-state]");
    if (place) place.textContent = message ? `${message} ` : "";
  };

  // What every answer of the server brings: progress, which questions are shown, the sum.
  const stand = (answer) => {
    if (answer.navigation) document.getElementById("section-steps").outerHTML = answer.navigation;
    if (answer.total) form.querySelector("[data-total]").textContent = answer.total;
    if (answer.shown) {
      for (const one of fields.values()) {
        const shown = answer.shown.includes(one.key);
        for (const part of one.slot.querySelectorAll(":scope > .answer, :scope > .slot-foot")) part.hidden = !shown;
      }
    }
  };

  const problems = (one, html) => {
    const answer = one.slot.querySelector(".answer");
    answer.querySelector(`#f-${CSS.escape(one.key)}-problem`)?.remove();
    const box = answer.querySelector("fieldset") || answer;
    box.insertAdjacentHTML("beforeend", html);
    const input = document.getElementById(`f-${one.key}`);
    if (input && input.matches("input, select, textarea")) {
      input.toggleAttribute("aria-invalid", false);
      if (html) input.setAttribute("aria-invalid", "true");
      const ids = (input.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && !id.endsWith("-problem"));
      if (html) ids.push(`f-${one.key}-problem`);
      if (ids.length) input.setAttribute("aria-describedby", ids.join(" "));
      else input.removeAttribute("aria-describedby");
    }
  };

  // The server's answer as JSON; null where it could not be had, and why is said.
  const ask = async (url, options = {}) => {
    let response;
    try {
      response = await fetch(url, { credentials: "same-origin", ...options, headers: { "X-CSRFToken": token, Accept: "application/json" } });
    } catch {
      lost(said.sayAway);
      return null;
    }
    if (response.redirected || response.status === 401 || (response.status === 403 && !(response.headers.get("Content-Type") || "").includes("json"))) {
      lost(said.saySignedOut);
      return null;
    }
    if (response.status === 404) {
      close();
      return null;
    }
    if (response.status >= 500 || response.status === 429) {
      lost(said.sayAway);
      return null;
    }
    try {
      const found = await response.json();
      wait = BEAT;
      return found;
    } catch {
      lost(said.sayAway);
      return null;
    }
  };
  const lost = (message) => {
    wait = Math.min(wait * 1.5, LONGEST_WAIT);
    if (anyDirty()) {
      state(message, "bad");
      if (live) live.textContent = message;
    }
  };

  const later = (one, pause = PAUSE) => {
    clearTimeout(one.timer);
    one.timer = setTimeout(() => save(one), pause);
  };

  const save = async (one, over = false) => {
    clearTimeout(one.timer);
    if (one.sending || ended || one.held || (!over && !dirty(one))) return;
    const sent = text(one.slot);
    const body = new URLSearchParams(sent);
    body.append("field", one.key);
    body.append("version", String(one.version));
    if (!over) body.append("base", one.base);
    one.sending = true;
    state(said.saySaving);
    const answer = await ask(said.save, { method: "POST", body });
    one.sending = false;
    if (!answer) return;
    if (answer.error) refused(one, answer, sent);
    else taken(one, answer, sent);
    guard();
  };

  const taken = (one, answer, sent) => {
    const typing = composing || text(one.slot) !== sent;
    one.version = answer.version;
    // A joined text that cannot be shown yet, for its writer types on, is fetched when they pause.
    one.mark = answer.merged && typing ? "" : answer.marks[one.key];
    one.base = sent;
    state(words(said.saySaved, { time: answer.at }), "good");
    stand(answer);
    let here = one;
    if (answer.merged && answer.slot && !typing) here = draw(one.key, answer.slot) || one;
    else problems(one, answer.problems);
    const version = here.slot.querySelector("[data-version]");
    if (version) version.value = String(answer.version);
    if (answer.conflict) note(here, said.sayConflict);
    else if (answer.merged) note(here, said.sayMerged);
    // What was typed while this was on its way, or goes on from a merged text, follows.
    if (typing) later(here, answer.merged ? 400 : PAUSE);
  };

  const refused = (one, answer, sent) => {
    const { error } = answer;
    state(`${error.message} ${error.remedy}`, "bad");
    if (live) live.textContent = error.message;
    if (!answer.theirs) {
      problems(one, "");
      const box = Object.assign(document.createElement("div"), { id: `f-${one.key}-problem` });
      box.append(Object.assign(document.createElement("p"), { className: "problem", textContent: `${error.message} ${error.remedy}` }));
      problems(one, box.outerHTML);
      // Sent again only when it changes: the same would be refused again.
      one.base = sent;
      one.refused = true;
      if (["application_not_open", "deadline_passed", "round_cancelled", "not_a_writer"].includes(error.code)) close();
      return;
    }
    // Mine and theirs side by side: the writer chooses, and until then nothing is sent.
    one.held = true;
    one.version = error.data.version;
    one.slot.querySelector("[data-theirs]")?.remove();
    one.slot.insertAdjacentHTML("beforeend", answer.theirs);
    one.slot.querySelector("[data-take]").addEventListener("click", (event) => {
      event.preventDefault();
      draw(one.key, answer.slot);
      guard();
    });
    one.slot.querySelector("[data-keep]").addEventListener("click", (event) => {
      event.preventDefault();
      one.held = false;
      one.slot.querySelector("[data-theirs]").remove();
      save(one, true);
    });
  };

  const close = () => {
    ended = true;
    document.getElementById("closed-note").hidden = false;
    document.getElementById("closed-note").scrollIntoView({ block: "center" });
  };

  // What others wrote comes into questions that this writer is not changing.
  const beat = async () => {
    if (!document.hidden && !ended) {
      const answer = await ask(said.pulse);
      if (answer && !answer.error) {
        if (answer.csrf) token = form.querySelector("[name=csrfmiddlewaretoken]").value = answer.csrf;
        if (answer.state !== said.state || answer.step !== said.step) close();
        for (const one of fields.values()) if (dirty(one) && !one.sending && !one.refused) save(one);
        const news = [...fields.values()].filter((one) => (answer.marks[one.key] || "") !== (one.mark || "") && !dirty(one) && !one.sending && !one.held && !one.refused && !(composing && one.slot.contains(document.activeElement)));
        if (news.length) await bring(news);
      } else if (answer && answer.error) close();
    }
    setTimeout(beat, wait);
  };

  const bring = async (news) => {
    const answer = await ask(`${said.fields}?${news.map((one) => `f=${encodeURIComponent(one.key)}`).join("&")}`);
    if (!answer || answer.error) return;
    for (const one of news) {
      if (dirty(one) || one.sending || !answer.slots[one.key]) continue;
      const here = draw(one.key, answer.slots[one.key]);
      const message = words(said.sayChanged, { name: answer.by[one.key] || "–", time: answer.at });
      if (here && answer.by[one.key]) {
        note(here, message);
        here.slot.classList.add("is-new");
        setTimeout(() => here.slot.classList.remove("is-new"), 6000);
        if (live) live.textContent = message;
      }
    }
    stand(answer);
  };

  // Rows: one more, one less, and the sum of a budget as it is typed.
  const rows = (one) => {
    const table = one.slot.querySelector("table.rows");
    if (!table || table.dataset.ready) return;
    table.dataset.ready = "1";
    for (const row of table.tBodies[0].rows) removable(one, row);
    table.tHead.rows[0].append(document.createElement("td"));
    const add = Object.assign(document.createElement("button"), { type: "button", className: "krds-btn small tertiary", textContent: said.sayAdd });
    add.addEventListener("click", () => {
      const body = table.tBodies[0];
      const count = one.slot.querySelector(`[name="f-${CSS.escape(one.key)}-rows"]`);
      const number = Number(count.value);
      const row = body.rows[body.rows.length - 1].cloneNode(true);
      row.hidden = false;
      for (const input of row.querySelectorAll("[name]")) {
        const part = input.name.slice(`f-${one.key}-`.length).replace(/^\d+-/, "");
        input.name = `f-${one.key}-${number}-${part}`;
        input.setAttribute("aria-label", (input.getAttribute("aria-label") || "").replace(/\d+$/, String(number + 1)));
        input.removeAttribute("aria-invalid");
        if (input.matches("select")) input.selectedIndex = 0;
        else input.value = "";
      }
      row.querySelector(".row-remove")?.closest("td").remove();
      body.append(row);
      removable(one, row);
      count.value = String(number + 1);
      row.querySelector("[name]").focus();
    });
    table.closest(".krds-table-wrap").after(add);
  };
  const removable = (one, row) => {
    const cell = row.insertCell();
    const button = Object.assign(document.createElement("button"), { type: "button", className: "krds-btn small text row-remove", textContent: "✕" });
    button.setAttribute("aria-label", `${said.sayRemove} ${row.rowIndex}`);
    button.addEventListener("click", () => {
      for (const input of row.querySelectorAll("[name]")) input.value = "";
      row.hidden = true;
      sum(one);
      later(one, 0);
      row.parentElement.querySelector("tr:not([hidden]) [name]")?.focus();
    });
    cell.append(button);
  };
  const sum = (one) => {
    const total = one.slot.querySelector(".budget-total strong");
    if (!total) return;
    const won = [...one.slot.querySelectorAll('[name$="-won"]')].map((input) => Number(input.value.replace(/[,\s원₩]/g, "")));
    const whole = won.filter((value) => Number.isSafeInteger(value) && value > 0).reduce((left, right) => left + right, 0);
    total.textContent = /[0-9]/.test(total.textContent) ? total.textContent.replace(/[0-9][0-9,]*/, whole.toLocaleString("en")) : whole.toLocaleString("en");
  };

  // Files: each on its way by itself, with how far it is; a refusal stands beside the field.
  const upload = (one, input) => {
    for (const file of input.files) {
      const bar = Object.assign(document.createElement("p"), { className: "hint upload" });
      const progress = Object.assign(document.createElement("progress"), { max: 100, value: 0 });
      const label = document.createElement("span");
      bar.append(progress, label);
      input.after(bar);
      const tell = (percent) => {
        progress.value = percent;
        label.textContent = words(said.sayUploading, { name: file.name, percent });
      };
      tell(0);
      const body = new FormData();
      body.append("field", one.key);
      body.append("file", file);
      const request = new XMLHttpRequest();
      request.open("POST", said.attach);
      request.setRequestHeader("X-CSRFToken", token);
      request.upload.addEventListener("progress", (event) => tell(event.total ? Math.floor((event.loaded / event.total) * 100) : 0));
      request.addEventListener("loadend", () => {
        bar.remove();
        let answer = null;
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          // Neither taken nor refused in words: it is said that it did not arrive.
        }
        const here = fields.get(one.key);
        if (answer && answer.slot) {
          draw(one.key, answer.slot);
          stand(answer);
          state(words(said.saySaved, { time: answer.at }), "good");
        } else {
          const message = answer && answer.error ? `${file.name}: ${answer.error.message} ${answer.error.remedy}` : words(said.sayFailed, { name: file.name });
          here.slot.querySelector(".answer fieldset")?.append(Object.assign(document.createElement("p"), { className: "problem", textContent: message }));
          if (live) live.textContent = message;
        }
      });
      request.send(body);
    }
    input.value = "";
  };

  const of = (target) => {
    const slot = target.closest("[data-slot]");
    return slot && fields.get(slot.dataset.slot);
  };
  form.addEventListener("input", (event) => {
    const one = of(event.target);
    if (!one || event.target.type === "file") return;
    one.refused = false;
    if (event.target.name.endsWith("-won")) sum(one);
    later(one);
  });
  form.addEventListener("change", (event) => {
    const one = of(event.target);
    if (!one) return;
    if (event.target.type === "file") upload(one, event.target);
    else if (!event.target.closest("table.rows")) later(one, 0);
  });
  form.addEventListener("focusout", (event) => {
    const one = of(event.target);
    if (one && !one.slot.contains(event.relatedTarget)) later(one, 0);
  });
  form.addEventListener("compositionstart", () => (composing = true));
  form.addEventListener("compositionend", () => (composing = false));
  addEventListener("online", () => {
    wait = BEAT;
    for (const one of fields.values()) if (dirty(one)) save(one);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) for (const one of fields.values()) if (dirty(one)) save(one);
  });
  form.querySelectorAll("[data-slot]").forEach(know);
  // On a telephone the sections are a strip; the present one is in view.
  const strip = document.getElementById("section-steps");
  const here = strip.querySelector("[aria-current]");
  if (here) strip.scrollLeft = here.offsetLeft - strip.offsetLeft - 16;
  form.addEventListener("input", () => setTimeout(guard));
  setTimeout(beat, BEAT);
})();

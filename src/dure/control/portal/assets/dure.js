// The portal's one script. Every page reads and works without it; it adds copying, dialogs in place of
// pages, menus that close, and live figures that pause while nobody looks.
(() => {
  "use strict";
  const say = (text) => {
    const region = document.getElementById("live-region");
    if (region) region.textContent = text;
  };

  const toast = (text) => {
    const list = document.querySelector(".toasts");
    if (!list) return;
    const item = document.createElement("div");
    item.className = "toast";
    item.append(Object.assign(document.createElement("span"), { textContent: text }));
    list.append(item);
    setTimeout(() => item.remove(), 5000);
  };

  // Copying: the text of what the button names, or of its own data-copy.
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copyFrom || "");
    const text = button.dataset.copy || (source ? source.textContent.trim() : "");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // No clipboard without a secure origin: select it, so that the reader's own key copies it.
      if (source) getSelection().selectAllChildren(source);
      say(button.dataset.copyFailed || "");
      return;
    }
    say(button.dataset.copied || "");
    toast(button.dataset.copied || "");
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy], [data-copy-from], [data-opens], [data-closes], [data-dismiss]");
    if (target) {
      if (target.matches("[data-copy], [data-copy-from]")) copy(target);
      // A row that arrived after the page has no dialog yet; its link leads to the page that asks the same.
      const dialog = target.dataset.opens && document.getElementById(target.dataset.opens);
      if (dialog) {
        event.preventDefault();
        dialog.showModal();
      }
      if (target.hasAttribute("data-closes")) target.closest("dialog").close();
      if (target.hasAttribute("data-dismiss")) target.closest(".toast").remove();
    }
    if (event.target.matches("dialog.confirm")) event.target.close();
    for (const menu of document.querySelectorAll("details.menu-drop[open], details.menu-mobile[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu-drop[open], details.menu-mobile[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // Filters apply on choosing; without script their button does it.
  document.addEventListener("change", (event) => {
    if (event.target.form && event.target.form.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  // One press, one order: a form that changes something is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    form.dataset.changed = "";
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // Where a call's parts do not fit side by side, the current one is in view.
  const part = document.querySelector(".builder-nav [aria-current]");
  const parts = part && part.closest(".builder-nav");
  if (parts) parts.scrollLeft = part.offsetLeft - parts.offsetLeft - (parts.clientWidth - part.offsetWidth) / 2;

  // Unsaved text: warn before leaving.
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-guards]");
    if (form) form.dataset.changed = "1";
  });
  addEventListener("beforeunload", (event) => {
    if (document.querySelector('form[data-guards][data-changed="1"]')) event.preventDefault();
  });

  // Questions that depend on another's answer show as soon as it is given; without script they show after saving.
  const answerOf = (form, key) => {
    const inputs = [...form.querySelectorAll(`[name="f-${key}"]`)];
    const given = inputs.filter((one) => !["radio", "checkbox"].includes(one.type) || one.checked).map((one) => one.value);
    return given.filter((value) => value.trim() !== "");
  };
  const holds = (form, { field, comparison, value }) => {
    const line = form.querySelector(`[data-field="${field}"]`);
    if (!line) return null;
    const given = line.hidden ? [] : answerOf(form, field);
    if (!given.length) return false;
    const wanted = [value].flat().map((one) => (one === true ? "yes" : one === false ? "no" : String(one)));
    const number = Number(given[0].replaceAll(",", ""));
    if (comparison === "at_least") return number >= Number(value);
    if (comparison === "at_most") return number <= Number(value);
    const hit = given.some((one) => wanted.includes(one));
    return comparison === "answered" || (comparison === "is_not" || comparison === "not_in" ? !hit : hit);
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form");
    if (!form) return;
    for (let round = 0; round < 5; round += 1) {
      for (const line of form.querySelectorAll("[data-when]")) {
        const found = JSON.parse(line.dataset.when).map((one) => holds(form, one));
        if (!found.includes(null)) line.hidden = found.includes(false);
      }
    }
  });
  const letters = globalThis.Intl && Intl.Segmenter ? new Intl.Segmenter() : null;
  document.addEventListener("input", (event) => {
    const hint = event.target.dataset.mostLength && document.querySelector(`[data-length-of="${event.target.name}"]`);
    if (!hint || !letters) return;
    const count = [...letters.segment(event.target.value)].length;
    hint.textContent = hint.textContent.replace(/[0-9,]+/, count.toLocaleString("en"));
    hint.classList.toggle("problem", count > Number(event.target.dataset.mostLength));
  });

  // A budget's total follows what is typed; the server says it again when the page is saved.
  document.addEventListener("input", (event) => {
    const [, name] = (event.target.name || "").match(/^(f-.+)-[0-9]+-won$/) || [];
    const total = name && document.querySelector(`[data-total-of="${name}"]`);
    if (!total) return;
    const typed = [...document.querySelectorAll(`[name^="${name}-"][name$="-won"]`)].map((one) => one.value.replace(/[,\s]/g, ""));
    const won = typed.filter((one) => /^[0-9]{1,15}$/.test(one)).reduce((sum, one) => sum + BigInt(one), 0n);
    total.textContent = total.textContent.replace(/[0-9,]+/, won.toLocaleString("en"));
  });
  // Of a condition only what its question can answer is offered.
  const narrow = (row) => {
    const key = row.querySelector("[data-question]").value;
    const offered = key && row.querySelector(`optgroup[data-of="${key}"]`);
    for (const group of row.querySelectorAll("optgroup")) group.hidden = group.disabled = Boolean(key) && group.dataset.of !== key;
    for (const label of row.querySelectorAll("[data-offered]")) label.hidden = !offered;
    row.querySelector("[data-number]").hidden = !key || Boolean(offered);
  };
  document.querySelectorAll("[data-condition]").forEach(narrow);
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-question]")) return;
    const row = event.target.closest("[data-condition]");
    for (const select of row.querySelectorAll("[data-offered] select")) select.value = "";
    narrow(row);
  });

  // Passkeys: what the page (or the address of its form) offers goes to the device, and its answer into the form.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-passkey]");
    if (!button) return;
    const form = document.getElementById(button.dataset.passkey);
    const failed = form.querySelector("[data-passkey-failed]");
    failed.hidden = true;
    try {
      const page = document.getElementById("passkey-data");
      const offer = page ? JSON.parse(page.textContent) : await (await fetch(form.action, { headers: { Accept: "application/json" } })).json();
      let credential;
      if (offer.creation_options) {
        const options = offer.creation_options.publicKey;
        options.authenticatorSelection = { ...options.authenticatorSelection, residentKey: "required", requireResidentKey: true, userVerification: "required" };
        credential = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
      } else {
        credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(offer.request_options.publicKey) });
      }
      form.elements.credential.value = JSON.stringify(credential.toJSON());
      form.requestSubmit();
    } catch {
      failed.hidden = false;
    }
  });

  // Live figures: silent while the tab is hidden, while a dialog is open, or while the reader works inside.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    if (!part.matches("[data-live]")) return;
    const busy = part.contains(document.activeElement) && part.matches("[data-live=calm]");
    if (document.hidden || busy || document.querySelector("dialog[open]")) event.preventDefault();
  });
  // The same answer as before is not worth a new tree: focus, selection and the screen reader stay where they are.
  const seen = new WeakMap();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.elt;
    if (!part.matches("[data-live]")) return;
    const status = event.detail.xhr.status;
    document.body.classList.toggle("live-paused", status !== 200);
    const text = event.detail.xhr.responseText;
    if (status !== 200 || seen.get(part) === text) event.detail.shouldSwap = false;
    else seen.set(part, text);
  });
  document.addEventListener("htmx:sendError", () => document.body.classList.add("live-paused"));
})();

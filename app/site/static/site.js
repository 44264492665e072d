// What pages can do better with a script.
(() => {
  // Instants in the visitor's own time zone and habits, and in the words of the page.
  const { lang } = document.documentElement;
  const spoken = navigator.languages.find((each) => each.split("-")[0] === lang) ?? lang;
  const format = new Intl.DateTimeFormat(spoken, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }

  for (const box of document.querySelectorAll(".show")) {
    const password = box.parentElement.querySelector("[type=password]");
    box.hidden = false;
    box.querySelector("input").addEventListener("change", (event) => {
      password.type = event.target.checked ? "text" : "password";
    });
    password.form.addEventListener("submit", () => { password.type = "password"; });
  }

  // The message of a page that has just been led to is not to come back with the page.
  if (new URLSearchParams(location.search).has("done")) {
    const url = new URL(location);
    url.searchParams.delete("done");
    history.replaceState(null, "", url);
  }

  // The second click of a double click would send the form again.
  document.addEventListener("submit", (event) => {
    const sent = event.target.dataset;
    if (event.timeStamp - Number(sent.at ?? -Infinity) < 1000) event.preventDefault();
    else sent.at = event.timeStamp;
  }, true);

  // Passkeys: the browser signs what the service asks for, and the form takes that along.
  const Credential = window.PublicKeyCredential;
  if (!Credential?.parseRequestOptionsFromJSON) return;
  let running = new AbortController();

  const ask = async (form) => {
    const { options, challenge } = form.dataset;
    const body = challenge ? JSON.stringify({ challenge }) : undefined;
    const headers = body ? { "Content-Type": "application/json" } : {};
    const answer = await fetch(options, { method: "POST", headers, body });
    const content = await answer.json();
    if (answer.ok) return content.options;
    if (content.code === "recent_login_required") location.reload();
    throw new Error(content.code);
  };
  const sign = async (form, mediation) => {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const options = await ask(form);
    return form.dataset.passkey === "new"
      ? navigator.credentials.create({ publicKey: Credential.parseCreationOptionsFromJSON(options), signal })
      : navigator.credentials.get({ publicKey: Credential.parseRequestOptionsFromJSON(options), signal, mediation });
  };
  const send = (form, credential) => {
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const said = form.querySelector("[role=alert]");
    const button = form.querySelector("button");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.textContent = "";
      button.classList.add("busy");
      try {
        send(form, await sign(form));
      } catch (error) {
        const isUnused = error.name === "NotAllowedError" || error.name === "AbortError";
        said.textContent = isUnused ? form.dataset.unused : form.dataset.failed;
      }
      button.classList.remove("busy");
    });
  }

  // With the field for the address, browsers offer the passkeys that they have.
  const form = document.querySelector("form[data-autofill]");
  const offer = async () => {
    if (!form || !(await Credential.isConditionalMediationAvailable?.())) return;
    try {
      send(form, await sign(form, "conditional"));
    } catch { /* the visitor has chosen otherwise */ }
  };
  offer();
  setInterval(() => document.hidden || offer(), 240_000);  // what is to be signed lasts 5 minutes
})();

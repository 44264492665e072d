(() => {
  const form = document.querySelector("form");
  const token = document.querySelector("[name=token]");
  const password = document.querySelector("[type=password]");
  const show = document.querySelector(".show");

  // A link carries its token behind "#", which no browser sends and no server logs. It goes into
  // the form, and out of the address bar and the history.
  const takeToken = () => {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given) {
      token.value = given;
      history.replaceState(null, "", location.pathname);
    }
    if (given || (token.value && !token.hasAttribute("aria-invalid"))) {
      token.closest(".field").hidden = true;
    }
  };
  if (token) {
    takeToken();
    addEventListener("hashchange", takeToken);
  }

  if (show) {
    const box = show.querySelector("input");
    show.hidden = false;
    box.addEventListener("change", () => {
      password.type = box.checked ? "text" : "password";
    });
  }

  // The second click of a double click would use the token again, and be told that it is used up.
  let sentAt = -Infinity;
  form?.addEventListener("submit", (event) => {
    if (event.timeStamp - sentAt < 1000) event.preventDefault();
    else sentAt = event.timeStamp;
    if (password) password.type = "password";  // so that browsers keep it as one
  });
})();

// The words of a page in English and Korean: `texts` has both of each, by its name; the button `language` changes them.

let language = "en";
const say = (key, values = {}) => texts[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const find = (id) => document.getElementById(id);
// Makes an element with attributes and children; a child that is a text is a text.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}
const changed = []; // called when the language changes
function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = say(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  const other = language === "en" ? ["ko", "한국어"] : ["en", "English"];
  find("language").lang = other[0];
  find("language").textContent = other[1];
  changed.forEach((each) => each());
}
find("language").addEventListener("click", () => { language = language === "en" ? "ko" : "en"; translate(); });

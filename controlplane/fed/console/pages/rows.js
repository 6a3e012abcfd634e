// Builds and updates elements out of data. Text goes in as text alone, never as HTML: what comes from a cluster is not trusted.

/** An element with properties, data attributes (data: {...}) and children (elements or text). */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  const { data = {}, attributes = {}, ...rest } = properties;
  Object.assign(made, rest);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Set a text if it is another one, so that a screen reader and a selection are left alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Have `parent` hold one element for each item, in their order. Those that stay keep their place in the document, their focus and their scrolling:
 * an element is made anew only when what it is made of has changed, and then the focus goes to the part that had it before.
 */
export function keep(parent, items, key, make) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const first = before.size === 0;
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const content = JSON.stringify(item);
    let row = before.get(name);
    before.delete(name);
    if (!row || row.content !== content) {
      const fresh = make(item);
      fresh.dataset.key = name;
      fresh.content = content;
      if (row) {
        const focused = row.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
        if (place === row) place = fresh;
        row.replaceWith(fresh);
        if (focused) fresh.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
      } else {
        if (!first) fresh.classList.add("fresh");
        parent.insertBefore(fresh, place);
      }
      row = fresh;
    }
    if (row === place) place = place.nextElementSibling;
    else if (row.nextElementSibling !== place) parent.insertBefore(row, place);
  }
  for (const gone of before.values()) gone.remove();
}

/** "12 s", "3 min 5 s", "2 h 10 min", "4 d 2 h" */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time as the reader's clock shows it, with the day if it is another one. */
export function clock(moment) {
  const time = new Date(moment);
  if (Number.isNaN(time.getTime())) return "an unknown time";
  const today = time.toDateString() === new Date().toDateString();
  return today ? time.toLocaleTimeString() : time.toLocaleString();
}

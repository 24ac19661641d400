/** The latest articles with their names in colour, and the latest rejected. */
const SHOWN = 10;

/** The tree that stands for a stranger's text: strings, odd characters by name, names of things. */
function written(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return node;
    if ("x" in node) return element("span", { class: "odd", title: "not shown as it is" }, node.x);
    return element("mark", { class: `c-${node.c}` }, element("span", {}, ...written(node.s)), "\u00a0", element("small", {}, node.e));
  });
}

function meta(...words) {
  return element("p", { class: "meta" }, ...words.filter(Boolean).map((word) => (typeof word === "string" ? element("span", {}, word) : word)));
}

function articleOf(article) {
  const fields = article.fields.map((field, at) => element(
    "bdi", { class: at ? "text" : "text first", dir: "auto", title: field.name }, ...written(field.text), field.cut ? " …" : "",
  ));
  return element("li", {}, ...fields, meta(
    element("bdi", {}, ...written(article.id)),
    several(article.entities, "name"),
    article.language && `language ${article.language}`,
    article.more_fields ? `${several(article.more_fields, "field")} more` : "",
    article.late === null ? "" : `${duration(article.late)} after Kafka had it`,
    clockTime(article.at),
    element("code", {}, article.place),
  ));
}

function letterOf(letter) {
  return element("li", {},
    element("span", { class: "code" }, letter.code),
    element("bdi", { class: "reason", dir: "auto" }, ...written(letter.reason)),
    element("bdi", { class: "raw", dir: "auto" }, ...written(letter.value), letter.cut ? " …" : "", letter.bytes ? "" : "(no value)"),
    meta(`in ${letter.stage}`, bytes(letter.bytes), clockTime(letter.at), element("code", {}, letter.place)),
  );
}

function prepend(list, entries, make, fresh) {
  for (const entry of entries) {
    const node = make(entry);
    if (fresh) node.className = "fresh";
    list.prepend(node);
  }
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
}

function showFeed(feed, isNew) {
  byId("feeds").hidden = feed === null;
  byId("no-text").hidden = feed !== null || known.facts.text_wanted;
  byId("no-text-of-many").hidden = feed !== null || !known.facts.text_wanted;
  if (feed === null) return;
  if (isNew) {
    byId("articles").replaceChildren();
    byId("letters").replaceChildren();
  }
  prepend(byId("articles"), feed.articles.slice(-SHOWN), articleOf, !isNew);
  prepend(byId("letters"), feed.rejected.slice(-SHOWN), letterOf, !isNew);
  for (const one of [...feed.articles, ...feed.rejected]) known.number = Math.max(known.number, one.n);
  say(byId("articles-note"), byId("articles").childElementCount ? "One a second at most, newest first." : "None has come yet.");
  say(byId("letters-note"), byId("letters").childElementCount ? "" : "None has been rejected yet.");
}

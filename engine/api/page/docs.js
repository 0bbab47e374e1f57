"use strict";
// Shows /api/openapi.json. Text goes in as text nodes alone, never as markup.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node[name] = value;
  node.append(...children.filter((child) => child !== null));
  return node;
}

const pretty = (value) => JSON.stringify(value, null, 2);

function resolve(api, schema) {
  if (!schema || !schema.$ref) return schema;
  return schema.$ref.slice(2).split("/").reduce((at, part) => at[part], api);
}

function typeOf(schema) {
  const type = [schema.type ?? ("const" in schema ? pretty(schema.const) : "any")].flat().join(" or ");
  const words = schema.enum ? ": " + schema.enum.map(String).join(", ") : "";
  const range = "minimum" in schema ? ` ${schema.minimum}–${schema.maximum}` : "";
  return type + range + words;
}

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", {}, text)));
  return make("table", {}, head, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
}

function fieldsOf(schema) {
  return Object.entries(schema.properties).map(([name, field]) => [
    make("code", {}, name), (schema.required ?? []).includes(name) ? "required" : "optional", typeOf(field),
    field.description ?? "",
  ]);
}

function parametersOf(operation) {
  return operation.parameters.map((item) => [
    make("code", {}, item.name), `${item.in}, ${item.required ? "required" : "optional"}`, typeOf(item.schema),
    item.description ?? "",
  ]);
}

function answer(status, response) {
  const [kind, content] = Object.entries(response.content ?? {})[0] ?? ["", {}];
  const shown = content.example ? make("pre", {}, pretty(content.example)) : null;
  return make("div", {}, make("h4", {}, `${status} `, make("small", {}, `${response.description} · ${kind}`)), shown);
}

function trial(method, path, example) {
  const target = make("input", { value: path, size: 60, ariaLabel: "path" });
  const body = example ? make("textarea", { value: pretty(example), ariaLabel: "body" }) : null;
  const output = make("pre", { hidden: true });
  const send = make("button", { type: "button" }, "Send");
  send.onclick = async () => {
    const headers = { account: document.getElementById("account").value, auth: document.getElementById("auth").value };
    if (body) headers["Content-Type"] = "application/json";
    const got = await fetch(target.value, { method, headers, body: body ? body.value : undefined });
    const text = await got.text();
    let shown = text;
    try { shown = pretty(JSON.parse(text)); } catch { /* not JSON: as it is */ }
    output.textContent = `${got.status}\n${shown}`;
    output.hidden = false;
  };
  return make("div", {}, make("h4", {}, "Try it"), target, " ", send, body, output);
}

function route(api, path, method, operation) {
  const schema = resolve(api, operation.requestBody?.content["application/json"].schema);
  const title = make("summary", {}, make("b", {}, method.toUpperCase()), make("code", {}, path), operation.summary);
  const parts = [make("p", {}, operation.description ?? "")];
  if (operation.parameters?.length) parts.push(table(["parameter", "", "type", ""], parametersOf(operation)));
  if (schema) parts.push(table(["field", "", "type", ""], fieldsOf(schema)));
  parts.push(...Object.entries(operation.responses).map(([status, response]) => answer(status, response)));
  parts.push(trial(method.toUpperCase(), path, schema?.example));
  return make("details", {}, title, ...parts);
}

async function show() {
  const api = await (await fetch("/api/openapi.json")).json();
  document.getElementById("version").textContent = api.info.version;
  const shown = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => route(api, path, method, operation)));
  document.getElementById("routes").replaceChildren(...shown);
}

show().catch((error) => { document.getElementById("routes").textContent = `openapi.json can't be read: ${error}`; });

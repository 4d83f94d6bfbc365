// The map: layers of tiles, what is drawn over them, the panels around them, and the address that restores all this.
import { BoxOverlay, OVERLAYS } from "./overlays.js";
import { element, ellipse, getJson, parseAngle, say, toLng, toRa } from "./sky.js";
import { SourceOverlay, TYPES } from "./sources.js";
import { BoxTool, CompareTool, SideBySide } from "./tools.js";

const PRODUCT_TEXT = { image: "Image", model: "Model", resid: "Residual", blobmodel: "Blob model", invvar: "Inverse variance",
  nexp: "Exposures", depth: "Depth", galdepth: "Galaxy depth", psfsize: "PSF size", maskbits: "Mask bits" };
const HIGHEST_ZOOM = 18;
const byId = (id) => document.getElementById(id);

class Viewer {
  constructor(config, query) {
    this.config = config;
    this.query = query;
    this.layer = this.find(query.get("layer")) || config.layers[0];
    if (query.get("layer") && !this.find(query.get("layer"))) say(`There is no layer ${query.get("layer")}.`);
    this.previous = null;
    this.map = L.map("map", { preferCanvas: true, worldCopyJump: false, maxZoom: HIGHEST_ZOOM, minZoom: 1, zoomControl: true,
      attributionControl: true, zoomSnap: 1, keyboard: true });
    this.map.attributionControl.setPrefix("").addAttribution("Leaflet");
    this.overlays = Object.fromEntries(OVERLAYS.map((name) => [name, new BoxOverlay(this, name)]));
    this.overlays.sources = new SourceOverlay(this);
  }

  start() {
    this.setView();
    this.side = new SideBySide(this);
    this.box = new BoxTool(this);
    this.compare = new CompareTool(this);
    this.showLayer(this.layer, false);
    this.makePanels();
    this.readAddress();
    this.drawMarks();
    this.map.on("moveend", () => this.moved());
    this.map.on("mousemove", (event) => this.pointer(event.latlng));
    this.map.on("click", (event) => this.clicked(event.latlng));
    this.map.on("zoomend moveend resize", () => this.drawScale());
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.jump(decodeURIComponent(location.hash.slice(1))));
    this.drawScale();
    this.moved();
    setInterval(() => this.reload(), 20000);
  }

  // --- layers

  find(name) {
    const plain = (name || "").replace(/ /g, "+");
    return this.config.layers.find((layer) => layer.name === plain);
  }

  tileLayer(layer, options = {}) {
    const kind = layer.product === "maskbits" ? "png" : "jpg";
    return L.tileLayer(`${encodeURIComponent(layer.name)}/1/{z}/{x}/{y}.${kind}?v=${layer.generation.slice(0, 12)}`, {
      maxNativeZoom: layer.native_zoom, maxZoom: HIGHEST_ZOOM, className: "sky-tile", ...options });
  }

  showLayer(layer, remember = true) {
    if (remember && layer !== this.layer) this.previous = this.layer;
    const newRun = layer.run !== this.layer.run;
    this.layer = layer;
    const old = this.tiles;
    this.tiles = this.tileLayer(layer).addTo(this.map);
    if (old) this.tiles.once("load", () => old.remove());
    if (old) setTimeout(() => old.remove(), 3000);
    if (newRun) {
      Object.values(this.overlays).forEach((overlay) => (overlay.reset ? overlay.reset() : overlay.update()));
      this.fillBands();
    }
    document.title = `${layer.name} – sky map`;
    document.querySelectorAll("input[name=layer]").forEach((input) => (input.checked = input.value === layer.name));
    this.showLegend();
    this.writeAddress();
  }

  showLegend() {
    const legend = byId("legend");
    legend.hidden = !(this.layer.product === "maskbits" || this.maskOverlay);
    legend.replaceChildren(...this.config.bits.map(({ name, text, color }) => {
      const square = element("i");
      square.style.background = color;
      return element("div", { title: text }, square, name);
    }));
  }

  /** New bricks, or bricks that changed, since the page was loaded. */
  async reload() {
    if (document.hidden) return;
    let config;
    try {
      config = await getJson("config.json");
    } catch {
      return; // the server is away for the moment
    }
    const changed = JSON.stringify(config) !== JSON.stringify(this.config);
    if (!changed) return;
    const before = this.config;
    this.config = config;
    const layer = this.find(this.layer.name) || config.layers[0];
    this.fillLayers();
    if (layer.generation !== this.layer.generation || !before.layers.some(({ name }) => name === layer.name)) {
      this.showLayer(layer, false);
      Object.values(this.overlays).forEach((overlay) => (overlay.reset ? overlay.reset() : overlay.update()));
    }
  }

  // --- address and view

  setView() {
    const { query } = this;
    let ra = parseAngle(query.get("ra") ?? "", true);
    let dec = parseAngle(query.get("dec") ?? "", false);
    let zoom = query.get("zoom") === null ? NaN : Number(query.get("zoom"));
    const brick = /^(\d{4})([pm])(\d{3})$/.exec(query.get("brick") || "");
    if (brick && !Number.isFinite(ra)) [ra, dec] = [brick[1] / 10, ((brick[2] === "m" ? -1 : 1) * brick[3]) / 10];
    if (!Number.isFinite(ra) || !Number.isFinite(dec)) {
      const view = this.config.runs[this.layer.run]?.view ?? { ra: 0, dec: 0, radius: 1 };
      [ra, dec] = [view.ra, view.dec];
      if (!Number.isFinite(zoom)) {
        const pixels = Math.min(innerWidth, innerHeight);
        zoom = Math.floor(Math.log2((pixels * 360 * Math.cos((dec * Math.PI) / 180)) / (256 * 1.6 * view.radius)));
      }
    }
    if (!Number.isFinite(zoom)) zoom = 12;
    this.map.setView([dec, toLng(ra)], Math.max(1, Math.min(HIGHEST_ZOOM, Math.round(zoom))));
  }

  address() {
    const center = this.map.getCenter();
    const parts = [`ra=${toRa(center.lng).toFixed(4)}`, `dec=${center.lat.toFixed(4)}`, `zoom=${this.map.getZoom()}`,
      `layer=${encodeURIComponent(this.layer.name)}`];
    for (const name of ["mark", "poly", "blink"]) if (this.query.get(name)) parts.push(`${name}=${encodeURIComponent(this.query.get(name))}`);
    if (this.compare?.catalogs.length) parts.push(`catalog=${encodeURIComponent(this.compare.catalogs.join(","))}`);
    if (this.side?.name) parts.push(`second=${encodeURIComponent(this.side.name)}`);
    for (const name of ["brightness", "contrast"]) if (byId(name).value !== "1") parts.push(`${name}=${byId(name).value}`);
    for (const [name, overlay] of Object.entries(this.overlays)) if (overlay.shown) parts.push(name);
    if (this.maskOverlay) parts.push("maskbits");
    return `?${parts.join("&")}`;
  }

  writeAddress() {
    if (this.started) history.replaceState(history.state, "", this.address() + location.hash);
  }

  readAddress() {
    const { query } = this;
    for (const name of ["brightness", "contrast"]) if (query.get(name)) byId(name).value = query.get(name);
    this.filterTiles();
    for (const key of query.keys()) {
      const name = Object.keys(this.overlays).find((known) => key === known || new RegExp(`^${known}[-\\d]`).test(key));
      if (name) this.overlays[name].show(true);
      if (key === "maskbits") this.toggleMask(true);
    }
    const second = this.find(query.get("second"));
    if (query.get("second") && second) {
      this.side.show(second);
      byId("second").value = second.name;
    }
    this.compare.catalogs = (query.get("catalog") || "").split(",").filter(Boolean);
    if (this.compare.catalogs.length) this.compare.update();
    this.updateChecks();
    this.started = true;
    if (location.hash.length > 1) this.jump(decodeURIComponent(location.hash.slice(1)));
  }

  drawMarks() {
    const near = this.map.getCenter().lng;
    for (const mark of (this.query.get("mark") || "").split(";").filter(Boolean)) {
      const [ra, dec, radius] = mark.split(",").map(Number);
      if (Number.isFinite(ra) && Number.isFinite(dec)) {
        L.polygon(ellipse(ra, dec, radius || 5, 1, 0, near), { color: "#ffff00", weight: 2, fill: false }).addTo(this.map);
      }
    }
    let color = "#ff9900";
    for (const text of (this.query.get("poly") || "").split(";").filter(Boolean)) {
      if (text.startsWith("color:")) {
        color = text.slice(6);
        continue;
      }
      const numbers = text.split(",").map(Number);
      const corners = [];
      for (let i = 0; i + 1 < numbers.length; i += 2) corners.push([numbers[i + 1], toLng(numbers[i], near)]);
      const shape = L.polygon(corners, { color, weight: 2, fill: false }).addTo(this.map);
      if (!this.query.get("ra")) this.map.fitBounds(shape.getBounds());
    }
  }

  // --- events

  moved() {
    this.showWhere(this.map.getCenter());
    Object.values(this.overlays).forEach((overlay) => overlay.update());
    if (this.compare.run) this.compare.update();
    this.updateChecks();
    this.writeAddress();
  }

  pointer(latlng) {
    this.at = latlng;
    this.showWhere(latlng);
    this.updateUnder();
  }

  showWhere(latlng) {
    byId("where-line").textContent = `RA,Dec = ${toRa(latlng.lng).toFixed(4)}, ${latlng.lat.toFixed(4)}, zoom ${this.map.getZoom()}`;
  }

  updateUnder() {
    if (!this.at) return;
    const names = ["bricks", "ccds"].flatMap((name) => this.overlays[name].namesAt(this.at));
    byId("under").textContent = names.length ? `In: ${names.join(", ")}` : "";
  }

  async clicked(latlng) {
    if (Date.now() - (this.ignoreClick || 0) < 300) return;
    const [ra, dec] = [toRa(latlng.lng), latlng.lat];
    const at = `ra=${ra.toFixed(4)}&dec=${dec.toFixed(4)}`;
    const name = encodeURIComponent(this.layer.name);
    const scale = (0.262 * 2 ** (14 - this.map.getZoom())).toFixed(3);
    const link = new URL(this.address(), location.href);
    const here = link.search.replace(/ra=[^&]*&dec=[^&]*/, at);
    const body = element("div", {}, element("h3", {}, `RA,Dec = ${ra.toFixed(4)}, ${dec.toFixed(4)}`),
      element("div", { className: "links" },
        element("a", { href: here }, "Link here"),
        element("a", { href: `data-for-radec/?${at}&layer=${name}`, target: "_blank" }, "Data"),
        element("a", { href: `cutout.fits?${at}&layer=${name}&pixscale=${scale}&size=256` }, "Cutout (FITS)"),
        element("a", { href: `cutout.jpg?${at}&layer=${name}&pixscale=${scale}&size=256`, target: "_blank" }, "Cutout (JPEG)"),
        element("a", { href: `coadd-psf/?${at}&layer=${encodeURIComponent(this.layer.run)}` }, "PSF"),
        element("a", { href: `https://simbad.cds.unistra.fr/simbad/sim-coo?Coord=${ra.toFixed(5)}+${dec.toFixed(5)}&Radius=1&Radius.unit=arcmin`,
          target: "_blank", rel: "noreferrer" }, "Simbad")));
    const popup = L.popup({ maxWidth: 300 }).setLatLng(latlng).setContent(body).openOn(this.map);
    const half = 1e-6;
    try {
      const found = await getJson(`bricks/?ralo=${ra - half}&rahi=${ra + half}&declo=${dec - half}&dechi=${dec + half}&layer=${encodeURIComponent(this.layer.run)}`);
      const ccds = this.overlays.ccds.namesAt(latlng);
      const links = found.polys.map(({ name: brick }) =>
        element("a", { href: `brick/${encodeURIComponent(brick)}/?layer=${encodeURIComponent(this.layer.run)}`, target: "_blank" }, `Brick ${brick}`));
      body.append(element("div", { className: "links" }, ...links));
      if (ccds.length) body.append(element("div", {}, `CCDs: ${ccds.join(", ")}`));
      popup.update();
    } catch {
      // without bricks the popup is still useful
    }
  }

  key(event) {
    if (event.target.closest("input, select, button, summary, [role=slider]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") {
      event.preventDefault();
      this.blink();
    } else if (event.key === "/") {
      event.preventDefault();
      this.open("tools", true);
      byId("jump-text").focus();
    } else if (event.key === "s") {
      this.overlays.sources.show(!this.overlays.sources.shown);
      this.updateChecks();
      this.writeAddress();
    } else if (event.key === "b") {
      this.overlays.bricks.show(!this.overlays.bricks.shown);
      this.updateChecks();
      this.writeAddress();
    }
  }

  /** Back to the layer before, or on to the next one of those that the address names. */
  blink() {
    const names = (this.query.get("blink") || "").split(",").filter(Boolean);
    if (names.length) {
      const cycle = [...new Set([this.blinkFrom ?? (this.blinkFrom = this.layer.name), ...names])];
      const next = this.find(cycle[(cycle.indexOf(this.layer.name) + 1) % cycle.length]);
      if (next) this.showLayer(next);
      return;
    }
    const other = this.previous ?? this.config.layers.find(({ run, name }) => run === this.layer.run && name !== this.layer.name);
    if (other) this.showLayer(this.find(other.name) ?? other);
  }

  async jump(text) {
    try {
      const found = await getJson(`namequery/?obj=${encodeURIComponent(text)}&layer=${encodeURIComponent(this.layer.run)}`);
      if (found.error) return say(found.error);
      this.map.setView([found.dec, toLng(found.ra, this.map.getCenter().lng)], this.map.getZoom());
      if (decodeURIComponent(location.hash.slice(1)) !== text) history.pushState(null, "", `${this.address()}#${encodeURIComponent(text)}`);
    } catch (error) {
      say(error.message);
    }
  }

  // --- panels

  open(name, on) {
    byId(`${name}-body`).hidden = !on;
    byId(`${name}-toggle`).setAttribute("aria-expanded", String(on));
  }

  makePanels() {
    for (const panel of document.querySelectorAll(".panel")) {
      L.DomEvent.disableClickPropagation(panel);
      L.DomEvent.disableScrollPropagation(panel);
    }
    const wide = innerWidth > 700;
    for (const name of ["layers", "tools"]) {
      this.open(name, wide && name === "layers");
      byId(`${name}-toggle`).addEventListener("click", () => this.open(name, byId(`${name}-body`).hidden));
    }
    this.fillLayers();
    this.makeWhere();
    this.makeFilter();
    byId("jump").addEventListener("submit", (event) => {
      event.preventDefault();
      this.jump(byId("jump-text").value.trim());
      byId("jump-text").blur();
    });
    for (const name of ["brightness", "contrast"]) {
      byId(name).addEventListener("input", () => this.filterTiles());
      byId(name).addEventListener("change", () => this.writeAddress());
    }
    byId("second").addEventListener("change", (event) => {
      this.side.show(this.find(event.target.value));
      this.writeAddress();
    });
  }

  filterTiles() {
    const [brightness, contrast] = ["brightness", "contrast"].map((name) => byId(name).value);
    this.map.getPane("tilePane").style.filter = brightness === "1" && contrast === "1" ? "" : `brightness(${brightness}) contrast(${contrast})`;
  }

  fillLayers() {
    const body = byId("layers-body");
    const runs = [...new Set(this.config.layers.map(({ run }) => run))];
    body.replaceChildren(...runs.map((run) => {
      const layers = this.config.layers.filter((layer) => layer.run === run);
      const number = this.config.runs[run]?.bricks;
      const title = number === undefined ? run : `${run} (${number} ${number === 1 ? "brick" : "bricks"})`;
      return element("fieldset", {}, element("legend", {}, title), ...layers.map((layer) => {
        const input = element("input", { type: "radio", name: "layer", value: layer.name, checked: layer.name === this.layer.name });
        input.addEventListener("change", () => this.showLayer(this.find(layer.name)));
        const text = (layer.wise ? "WISE " : "") + (layer.wise ? PRODUCT_TEXT[layer.product].toLowerCase() : PRODUCT_TEXT[layer.product]);
        return element("label", { className: layer.product === "image" && !layer.wise ? "" : "sub" }, input, ` ${text}`);
      }));
    }));
    const checks = element("fieldset", {}, element("legend", {}, "Overlays"));
    for (const [name, overlay] of Object.entries(this.overlays)) {
      const input = element("input", { type: "checkbox", value: name, className: "overlay" });
      input.addEventListener("change", () => {
        overlay.show(input.checked);
        this.writeAddress();
      });
      checks.append(element("label", {}, input, ` ${overlay.text}`));
    }
    const mask = element("input", { type: "checkbox", id: "mask-overlay", checked: Boolean(this.maskOverlay) });
    mask.addEventListener("change", () => this.toggleMask(mask.checked));
    const opacity = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.6, title: "opacity", "aria-label": "Opacity of mask bits" });
    opacity.addEventListener("input", () => this.maskOverlay?.setOpacity(Number(opacity.value)));
    this.maskOpacity = opacity;
    checks.append(element("label", {}, mask, " Mask bits"), opacity);
    body.append(checks);
    const choices = [element("option", { value: "" }, "off"), ...this.config.layers.map(({ name }) => element("option", { value: name }, name))];
    byId("second").replaceChildren(...choices);
    byId("second").value = this.side?.name || "";
    byId("compare-run").replaceChildren(element("option", { value: "" }, "none"), ...runs.map((run) => element("option", { value: run }, run)));
    byId("compare-run").value = this.compare?.run || "";
    this.updateChecks();
  }

  toggleMask(on) {
    if (this.maskOverlay) this.maskOverlay.remove();
    const layer = this.config.layers.find(({ run, product }) => run === this.layer.run && product === "maskbits");
    this.maskOverlay = on && layer ? this.tileLayer(layer, { opacity: Number(this.maskOpacity.value), zIndex: 5 }).addTo(this.map) : null;
    byId("mask-overlay").checked = Boolean(this.maskOverlay);
    this.showLegend();
    this.writeAddress();
  }

  updateChecks() {
    for (const input of document.querySelectorAll("input.overlay")) {
      const overlay = this.overlays[input.value];
      input.checked = overlay.shown;
      input.disabled = !overlay.possible;
      input.parentElement.classList.toggle("off", !overlay.possible);
      input.parentElement.title = overlay.possible ? "" : "zoom in to see these";
    }
  }

  makeWhere() {
    const [line, form] = [byId("where-line"), byId("where-form")];
    const open = () => {
      const center = this.map.getCenter();
      byId("where-ra").value = toRa(center.lng).toFixed(5);
      byId("where-dec").value = center.lat.toFixed(5);
      byId("where-zoom").value = this.map.getZoom();
      form.hidden = false;
      byId("where-ra").select();
    };
    line.addEventListener("click", open);
    line.addEventListener("keydown", (event) => event.key === "Enter" && open());
    const go = (fly) => {
      const [ra, dec, zoom] = [parseAngle(byId("where-ra").value, true), parseAngle(byId("where-dec").value, false), Number(byId("where-zoom").value)];
      if (!Number.isFinite(ra) || !(Math.abs(dec) <= 90)) return say("RA and Dec: degrees, or hh:mm:ss and dd:mm:ss");
      const target = [dec, toLng(ra, this.map.getCenter().lng)];
      const level = Number.isFinite(zoom) ? Math.max(1, Math.min(HIGHEST_ZOOM, zoom)) : this.map.getZoom();
      if (fly) this.map.flyTo(target, level, { duration: 3 });
      else this.map.setView(target, level);
      form.hidden = true;
    };
    byId("where").addEventListener("submit", (event) => {
      event.preventDefault();
      go(false);
    });
    byId("where-fly").addEventListener("click", () => go(true));
    byId("where-cancel").addEventListener("click", () => (form.hidden = true));
  }

  makeFilter() {
    const { sources } = this.overlays;
    const types = byId("filter-types");
    for (const [letter, text] of Object.entries(TYPES)) {
      if (letter === "C") continue;
      const input = element("input", { type: "checkbox", value: letter, checked: true });
      input.addEventListener("change", () => {
        sources.filter.types[input.checked ? "add" : "delete"](letter);
        sources.setFilter({});
      });
      types.append(element("label", {}, input, text));
    }
    this.fillBands();
    const number = (id, missing) => (byId(id).value.trim() === "" || Number.isNaN(Number(byId(id).value)) ? missing : Number(byId(id).value));
    const change = () => sources.setFilter({ band: byId("filter-band").value, bright: number("filter-bright", -Infinity),
      faint: number("filter-faint", Infinity), bits: byId("filter-bits").value });
    for (const id of ["filter-band", "filter-bright", "filter-faint", "filter-bits"]) byId(id).addEventListener("input", change);
  }

  fillBands() {
    const bands = this.config.runs[this.layer.run]?.bands ?? this.layer.bands;
    byId("filter-band").replaceChildren(...bands.map((band) => element("option", { value: band }, band)));
    if (bands.includes("r")) byId("filter-band").value = "r";
  }

  drawScale() {
    const center = this.map.getCenter();
    const y = this.map.getSize().y / 2;
    const [a, b] = [this.map.containerPointToLatLng([0, y]), this.map.containerPointToLatLng([100, y])];
    const arcsec = Math.abs(b.lng - a.lng) * Math.cos((center.lat * Math.PI) / 180) * 3600;
    let wanted = 0;
    for (const power of [-1, 0, 1, 2, 3, 4, 5, 6]) for (const step of [1, 2, 5]) if (step * 10 ** power <= arcsec * 1.3) wanted = step * 10 ** power;
    if (wanted > 180) {
      const unit = arcsec > 7200 ? 3600 : 60;
      for (const step of [1, 2, 3, 5, 10, 15, 20, 30, 60, 120]) if (step * unit <= arcsec * 1.3) wanted = step * unit;
    }
    const text = wanted <= 180 ? `${wanted}″` : wanted <= 7200 ? `${wanted / 60}′` : `${wanted / 3600}°`;
    if (!this.scale) {
      this.scale = L.control({ position: "bottomright" });
      this.scale.onAdd = () => element("div", { className: "scale" });
      this.scale.addTo(this.map);
    }
    const box = this.scale.getContainer();
    box.textContent = text;
    box.style.width = `${(100 * wanted) / arcsec}px`;
  }
}

async function begin() {
  let config;
  try {
    config = await getJson("config.json");
  } catch (error) {
    say(`The server does not answer: ${error.message}`);
    return;
  }
  const bricks = Object.values(config.runs).reduce((sum, run) => sum + run.bricks, 0);
  if (!bricks) {
    say("There are no bricks with images yet. This page looks again every few seconds.");
    byId("message").timer = clearTimeout(byId("message").timer);
    setTimeout(() => location.reload(), 10000);
    return;
  }
  window.viewer = new Viewer(config, new URLSearchParams(location.search));
  window.viewer.start();
}

begin();

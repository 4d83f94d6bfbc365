// Sources of the catalogue: ellipses coloured by type, a filter, and a popup with stamps and parameters.
import { element, ellipse, getJson, magnitude, say, toLng } from "./sky.js";

const COLORS = { P: "#9afe2e", R: "#ffa500", D: "#ff4040", E: "#58acfa", S: "#da81f5", C: "#da81f5" };
const TYPES = { P: "PSF", R: "REX", D: "DEV", E: "EXP", S: "SER", C: "COMP" };
const LOWEST_ZOOM = 12;
const DEEPEST_TILES = 15;

export class SourceOverlay {
  constructor(viewer) {
    this.viewer = viewer;
    this.name = "sources";
    this.text = "Sources";
    this.group = L.layerGroup();
    this.tiles = new Map();
    this.shown = false;
    this.filter = { types: new Set(Object.keys(TYPES)), band: "", bright: -Infinity, faint: Infinity, bits: "" };
  }

  get possible() { return this.viewer.map.getZoom() >= LOWEST_ZOOM; }

  show(on) {
    this.shown = on;
    if (on) this.group.addTo(this.viewer.map);
    else this.group.remove();
    return this.update();
  }

  /** Forget everything, e.g. when the run changes or has new bricks. */
  reset() {
    for (const tile of this.tiles.values()) tile.abort?.abort();
    this.tiles.clear();
    this.group.clearLayers();
    return this.update();
  }

  async update() {
    const wanted = this.shown && this.possible ? this.visibleTiles() : new Map();
    for (const [key, tile] of this.tiles) {
      if (!wanted.has(key)) {
        tile.abort?.abort();
        if (tile.group) this.group.removeLayer(tile.group);
        this.tiles.delete(key);
      }
    }
    await Promise.all([...wanted].map(([key, at]) => this.tiles.has(key) ? null : this.load(key, at)));
    this.count();
  }

  visibleTiles() {
    const { map } = this.viewer;
    const zoom = Math.min(DEEPEST_TILES, Math.max(LOWEST_ZOOM, map.getZoom()));
    const bounds = map.getBounds();
    const low = map.project(bounds.getNorthWest(), zoom).divideBy(256).floor();
    const high = map.project(bounds.getSouthEast(), zoom).divideBy(256).floor();
    const tiles = new Map();
    for (let x = low.x; x <= high.x; x++) {
      for (let y = Math.max(0, low.y); y <= Math.min(high.y, 2 ** zoom - 1); y++) {
        const wrapped = ((x % 2 ** zoom) + 2 ** zoom) % 2 ** zoom;
        tiles.set(`${zoom}/${wrapped}/${y}`, true);
      }
    }
    return tiles;
  }

  async load(key) {
    const tile = { abort: new AbortController(), sources: [] };
    this.tiles.set(key, tile);
    try {
      const found = await getJson(`${encodeURIComponent(this.viewer.layer.run)}/1/${key}.cat.json`, tile.abort.signal);
      if (found === null || !this.tiles.has(key)) return;
      tile.sources = unpack(found);
      tile.group = L.layerGroup().addTo(this.group);
      this.draw(tile);
    } catch (error) {
      this.tiles.delete(key);
      say(`Sources: ${error.message}`);
    }
  }

  draw(tile) {
    if (!tile.group) return;
    tile.group.clearLayers();
    const near = this.viewer.map.getCenter().lng;
    for (const source of tile.sources) {
      if (!this.passes(source)) continue;
      const corners = ellipse(source.ra, source.dec, source.radius || 1, source.ratio || 1, source.angle || 0, near);
      L.polygon(corners, { color: COLORS[source.type] || "#ccc", weight: 1.4, fillOpacity: 0.01, bubblingMouseEvents: false })
        .bindTooltip(`${TYPES[source.type] || "?"} ${mags(source)}`)
        .on("click", () => this.popup(source))
        .addTo(tile.group);
    }
  }

  setFilter(changes) {
    Object.assign(this.filter, changes);
    for (const tile of this.tiles.values()) this.draw(tile);
    this.count();
  }

  passes(source) {
    const { types, band, bright, faint, bits } = this.filter;
    if (!types.has(source.type)) return false;
    if (bits === "clean" && source.maskbits) return false;
    if (bits === "masked" && !source.maskbits) return false;
    if (band && (bright > -Infinity || faint < Infinity)) {
      const flux = source.fluxes[band];
      if (!(flux > 0)) return false;
      const mag = 22.5 - 2.5 * Math.log10(flux);
      if (mag < bright || mag > faint) return false;
    }
    return true;
  }

  /** Sources that are drawn, and all. */
  numbers() {
    const all = [...this.tiles.values()].flatMap((tile) => tile.sources);
    return [all.filter((source) => this.passes(source)).length, all.length];
  }

  count() {
    const [drawn, all] = this.numbers();
    document.getElementById("filter-count").textContent = this.shown && this.possible ? `${drawn} of ${all} shown` : "";
  }

  async popup(source) {
    const { map, layer } = this.viewer;
    const run = encodeURIComponent(layer.run);
    const at = `ra=${source.ra.toFixed(6)}&dec=${source.dec.toFixed(6)}`;
    const size = Math.min(200, Math.max(48, Math.round((8 * (source.radius || 0)) / 0.262 / 8) * 8));
    const content = element("div", { className: "source" });
    content.append(element("h3", {}, `${TYPES[source.type] || "?"}  ${mags(source)}`));
    const stamps = element("div", { className: "stamps" });
    for (const [product, text] of [["", "image"], ["-model", "model"], ["-resid", "residual"]]) {
      const url = `cutout.jpg?${at}&layer=${run}${product}&size=${size}&pixscale=0.262`;
      stamps.append(element("figure", {}, element("img", { src: url, alt: text }), element("figcaption", {}, text)));
    }
    const table = element("table");
    const half = 1 / 3600 / Math.max(1e-3, Math.cos((source.dec * Math.PI) / 180));
    const box = `ralo=${(source.ra - half).toFixed(7)}&rahi=${(source.ra + half).toFixed(7)}` +
      `&declo=${(source.dec - 1 / 3600).toFixed(7)}&dechi=${(source.dec + 1 / 3600).toFixed(7)}` +
      `&brick=${encodeURIComponent(source.brick)}&objid=${source.objid}`;
    content.append(stamps, table, element("div", { className: "links" },
      element("a", { href: `${run}/cat?${box}`, target: "_blank" }, `${source.brick} ${source.objid}`),
      element("a", { href: `data-for-radec/?${at}&layer=${run}`, target: "_blank" }, "data"),
      element("a", { href: `cutout.fits?${at}&layer=${run}&size=${size}&invvar&maskbits` }, "FITS")));
    const popup = L.popup({ maxWidth: 340, minWidth: 300 }).setLatLng([source.dec, toLng(source.ra, map.getCenter().lng)]).setContent(content).openOn(map);
    try {
      const row = await getJson(`${run}/cat.json?${box}`);
      if (row !== null) fill(table, row, source);
      popup.update();
    } catch (error) {
      table.append(element("tr", {}, element("td", {}, error.message)));
    }
  }
}

function unpack(found) {
  return found.rd.map(([ra, dec], i) => ({
    ra, dec, type: found.sourcetype[i], fluxes: found.fluxes[i], nobs: found.nobs[i], brick: found.bricknames[i],
    objid: found.objids[i], ratio: found.abratio[i], angle: found.posangle[i], radius: found.radius[i],
    maskbits: found.maskbits ? found.maskbits[i] : 0,
  }));
}

function mags(source) {
  return Object.entries(source.fluxes).map(([band, flux]) => magnitude(band, flux)).join(" ");
}

function line(table, name, ...cells) {
  table.append(element("tr", {}, element("th", {}, name), ...cells.map((cell) => element("td", {}, cell))));
}

function withError(value, ivar, digits) {
  if (value === null || value === undefined) return "";
  const error = ivar > 0 ? 1 / Math.sqrt(ivar) : null;
  return value.toFixed(digits) + (error === null ? "" : ` ± ${error.toPrecision(2)}`);
}

/** Fitted parameters with errors, of the row of the catalogue. */
function fill(table, row, source) {
  const value = (name) => (row[name] ? row[name][0] : undefined);
  line(table, "RA, Dec", `${source.ra.toFixed(6)}, ${source.dec.toFixed(6)}`);
  for (const band of Object.keys(source.fluxes)) {
    const flux = value(`flux_${band}`);
    const exposures = source.nobs[band] === undefined ? "" : `${source.nobs[band]} exp.`;
    line(table, band, `${withError(flux, value(`flux_ivar_${band}`), 3)} nmgy`, exposures);
  }
  if (source.type !== "P") {
    line(table, "radius", `${withError(value("shape_r"), value("shape_r_ivar"), 3)}″`);
    if (source.type !== "R") {
      line(table, "e1", withError(value("shape_e1"), value("shape_e1_ivar"), 3));
      line(table, "e2", withError(value("shape_e2"), value("shape_e2_ivar"), 3));
    }
    if (source.type === "S") line(table, "Sérsic n", withError(value("sersic"), value("sersic_ivar"), 2));
  }
  line(table, "mask bits", value("maskbits") ? `0x${value("maskbits").toString(16)}` : "0");
}

export { TYPES };

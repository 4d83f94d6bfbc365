// Outlines over the tiles: bricks, CCDs, exposures, reference stars.
import { boxOfBounds, ellipse, getJson, say, toLng } from "./sky.js";

const KINDS = {
  bricks: { text: "Bricks", from: 1, make: drawPolygons, path: (box, name) => `bricks/?${box}&layer=${name}`, color: "#8fb3ff" },
  ccds: { text: "CCDs", from: 8, make: drawPolygons, path: (box, name) => `ccds/?${box}&layer=${name}` },
  exps: { text: "Exposures", from: 8, make: drawCircles, path: (box, name) => `exps/?${box}&layer=${name}` },
  refs: { text: "Reference objects", from: 11, make: drawReferences, path: (box, name, run) => `refs-${run}/1/cat.json?${box}` },
};

export const OVERLAYS = Object.keys(KINDS);

function drawPolygons(group, found, near, color) {
  for (const { name, radecs, color: own } of found.polys) {
    const first = toLng(radecs[0][0], near);
    const corners = radecs.map(([ra, dec]) => [dec, toLng(ra, first)]);
    L.polygon(corners, { color: own || color, weight: 1.5, fill: false, interactive: false, name }).addTo(group);
  }
}

function drawCircles(group, found, near) {
  for (const { ra, dec, radius, color, name } of found.objs) {
    L.polygon(ellipse(ra, dec, radius * 3600, 1, 0, near), { color, weight: 1.5, fill: false, interactive: false, name }).addTo(group);
  }
}

function drawReferences(group, found, near) {
  found.rd.forEach(([ra, dec], i) => {
    const corners = ellipse(ra, dec, found.radiusArcsec[i] || 2, found.abRatio[i] || 1, found.posAngle[i] || 0, near);
    L.polygon(corners, { color: found.color[i], weight: 1.2, fill: false }).bindTooltip(found.name[i] || "reference").addTo(group);
  });
}

/** An overlay that asks for the box of the view whenever it changes. */
export class BoxOverlay {
  constructor(viewer, name) {
    this.viewer = viewer;
    this.name = name;
    this.kind = KINDS[name];
    this.group = L.layerGroup();
    this.shown = false;
  }

  get text() { return this.kind.text; }
  get possible() { return this.viewer.map.getZoom() >= this.kind.from; }

  show(on) {
    this.shown = on;
    if (on) this.group.addTo(this.viewer.map);
    else this.group.remove();
    return this.update();
  }

  async update() {
    if (this.request) this.request.abort();
    if (!this.shown || !this.possible) {
      this.group.clearLayers();
      return;
    }
    this.request = new AbortController();
    const { map, layer } = this.viewer;
    const path = this.kind.path(boxOfBounds(map.getBounds()), encodeURIComponent(layer.run), encodeURIComponent(layer.run));
    try {
      const found = await getJson(path, this.request.signal);
      if (found === null) return;
      this.group.clearLayers();
      this.kind.make(this.group, found, map.getCenter().lng, this.kind.color);
      this.viewer.updateUnder();
    } catch (error) {
      say(`${this.text}: ${error.message}`);
    }
  }

  /** Names of the outlines that hold a point. */
  namesAt(latlng) {
    const names = [];
    if (this.shown) {
      this.group.eachLayer((shape) => {
        if (shape.options.name && inside(latlng, shape.getLatLngs()[0])) names.push(shape.options.name);
      });
    }
    return names;
  }
}

function inside(point, corners) {
  let within = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [a, b] = [corners[i], corners[j]];
    if (a.lat > point.lat !== b.lat > point.lat &&
        point.lng < ((b.lng - a.lng) * (point.lat - a.lat)) / (b.lat - a.lat) + a.lng) within = !within;
  }
  return within;
}

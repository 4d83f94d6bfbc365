// The box, the comparison of catalogues, the second layer beside the first.
import { boxOfBounds, element, ellipse, getJson, say } from "./sky.js";

/** Draw a box with the mouse or a finger; tells how many rows of the catalogue it holds. */
export class BoxTool {
  constructor(viewer) {
    this.viewer = viewer;
    this.result = document.getElementById("box-result");
    this.button = document.getElementById("box-start");
    this.button.addEventListener("click", () => this.start());
  }

  start() {
    const { map } = this.viewer;
    map.dragging.disable();
    map.getContainer().style.cursor = "crosshair";
    this.result.textContent = "Drag over the map.";
    const container = map.getContainer();
    const down = (event) => {
      if (event.target.closest(".panel")) return;
      event.preventDefault();
      event.stopPropagation();
      const from = map.mouseEventToLatLng(event);
      if (this.shape) this.shape.remove();
      this.shape = L.rectangle([from, from], { color: "#ffd479", weight: 1.5, fillOpacity: 0.05, interactive: false }).addTo(map);
      const move = (e) => this.shape.setBounds(L.latLngBounds(from, map.mouseEventToLatLng(e)));
      const up = () => {
        removeEventListener("pointermove", move);
        container.removeEventListener("pointerdown", down, true);
        map.dragging.enable();
        container.style.cursor = "";
        this.viewer.ignoreClick = Date.now();
        this.tell(this.shape.getBounds());
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", up, { once: true });
    };
    container.addEventListener("pointerdown", down, true);
  }

  async tell(bounds) {
    const box = boxOfBounds(bounds);
    const run = encodeURIComponent(this.viewer.layer.run);
    try {
      const rows = await getJson(`${run}/cat.json?${box}&columns=objid`);
      const number = rows.objid.length;
      this.result.replaceChildren(`${number} rows: `,
        element("a", { href: `${run}/cat.csv?${box}` }, "CSV"), " ",
        element("a", { href: `${run}/cat.fits?${box}` }, "FITS"));
      this.result.dataset.rows = number;
    } catch (error) {
      this.result.textContent = error.message;
    }
  }
}

/** Another catalogue over the map, matched and unmatched sources in different colours. */
export class CompareTool {
  constructor(viewer) {
    this.viewer = viewer;
    this.group = L.layerGroup().addTo(viewer.map);
    this.result = document.getElementById("compare-result");
    this.catalogs = [];
    this.run = "";
    document.getElementById("compare-run").addEventListener("change", (event) => {
      this.run = event.target.value;
      this.update();
    });
  }

  async update() {
    const { layer, map } = this.viewer;
    const base = `${encodeURIComponent(layer.run)}/compare.json?`;
    const requests = this.catalogs.map((id) => `${base}cat=${encodeURIComponent(id)}`);
    if (this.run) requests.push(`${base}with=${encodeURIComponent(this.run)}&${boxOfBounds(map.getBounds())}`);
    try {
      const answers = await Promise.all(requests.map((url) => getJson(url)));
      this.group.clearLayers();
      let [number, matched] = [0, 0];
      for (const answer of answers) {
        number += answer.number;
        matched += answer.number_matched;
        answer.rd.forEach(([ra, dec], i) => this.draw(ra, dec, answer.matched[i]));
      }
      this.result.textContent = requests.length ? `${number} sources: ${matched} matched (green), ${number - matched} not (red)` : "";
      Object.assign(this.result.dataset, { matched, unmatched: number - matched });
    } catch (error) {
      say(`Comparison: ${error.message}`);
    }
  }

  draw(ra, dec, matched) {
    const corners = ellipse(ra, dec, 1.5, 1, 0, this.viewer.map.getCenter().lng, 24);
    const color = matched ? "#43e07a" : "#ff5555";
    L.polygon(corners, { color, weight: 2, fill: false }).bindTooltip(matched ? "matched" : "not matched").addTo(this.group);
  }
}

/** A second layer to the right of a divider that can be moved. */
export class SideBySide {
  constructor(viewer) {
    this.viewer = viewer;
    this.divider = document.getElementById("divider");
    this.label = document.getElementById("second-label");
    this.share = 0.5;
    viewer.map.createPane("second").style.zIndex = 250;
    const move = (x) => {
      this.share = Math.min(0.98, Math.max(0.02, x / viewer.map.getSize().x));
      this.clip();
    };
    this.divider.addEventListener("pointerdown", (event) => {
      this.divider.setPointerCapture(event.pointerId);
      const on = (e) => move(e.clientX);
      this.divider.addEventListener("pointermove", on);
      this.divider.addEventListener("pointerup", () => this.divider.removeEventListener("pointermove", on), { once: true });
    });
    this.divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
      if (step) {
        event.stopPropagation();
        move((this.share + step) * viewer.map.getSize().x);
      }
    });
    viewer.map.on("move zoomend resize", () => this.clip());
  }

  show(layer) {
    if (this.tiles) this.tiles.remove();
    this.tiles = layer ? this.viewer.tileLayer(layer, { pane: "second" }).addTo(this.viewer.map) : null;
    this.name = layer ? layer.name : "";
    this.divider.hidden = this.label.hidden = !layer;
    this.label.textContent = this.name;
    this.clip();
  }

  clip() {
    if (!this.tiles) return;
    const { map } = this.viewer;
    const size = map.getSize();
    const x = size.x * this.share;
    const [low, high] = [map.containerPointToLayerPoint([x, 0]), map.containerPointToLayerPoint([size.x, size.y])];
    map.getPane("second").style.clip = `rect(${low.y}px, ${high.x}px, ${high.y}px, ${low.x}px)`;
    this.divider.style.left = `${x}px`;
  }
}

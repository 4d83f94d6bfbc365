// Positions, requests and small helpers. Longitude of the map is 180 - RA.

/** Longitude of an RA [deg], on the same turn as a reference longitude. */
export function toLng(ra, near = 0) {
  const lng = 180 - ra;
  return lng - 360 * Math.round((lng - near) / 360);
}

/** RA in [0, 360) of a longitude. */
export function toRa(lng) {
  return (((180 - lng) % 360) + 360) % 360;
}

/** Degrees of "110.3", "7:21:14" (hours for RA); NaN if it is neither. */
export function parseAngle(text, hours) {
  const parts = String(text).trim().split(":");
  if (parts.some((part) => part === "" || !Number.isFinite(Number(part)))) return NaN;
  if (parts.length === 1) return Number(parts[0]);
  const size = parts.reduce((sum, part, i) => sum + Math.abs(Number(part)) / 60 ** i, 0);
  return (String(parts[0]).startsWith("-") ? -1 : 1) * size * (hours ? 15 : 1);
}

/** AB magnitude of a flux in nanomaggies; a word for fluxes that have none. */
export function magnitude(band, flux) {
  if (flux === null || flux === undefined) return "";
  if (!(flux > 0)) return `${band}<0`;
  return `${band}=${(22.5 - 2.5 * Math.log10(flux)).toFixed(2)}`;
}

/** JSON of an address; null if the request was dropped. */
export async function getJson(url, signal) {
  try {
    const answer = await fetch(url, { signal });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw error;
  }
}

/** Element with properties and children; text is never read as HTML. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Corners of an ellipse as [lat, lng]: radius in arcsec, position angle in degrees East of North. */
export function ellipse(ra, dec, radius, ratio, angle, near, corners = 48) {
  const pa = (angle * Math.PI) / 180;
  const shrink = Math.max(1e-3, Math.cos((dec * Math.PI) / 180));
  const points = [];
  for (let i = 0; i < corners; i++) {
    const t = (2 * Math.PI * i) / corners;
    const [along, across] = [radius * Math.cos(t), radius * ratio * Math.sin(t)];
    const east = along * Math.sin(pa) + across * Math.cos(pa);
    const north = along * Math.cos(pa) - across * Math.sin(pa);
    points.push([dec + north / 3600, toLng(ra + east / 3600 / shrink, near)]);
  }
  return points;
}

/** Box of the view as parameters of a request. */
export function boxOfBounds(bounds) {
  const wide = bounds.getEast() - bounds.getWest() >= 360;
  const [low, high] = wide ? [0, 360] : [toRa(bounds.getEast()), toRa(bounds.getWest())];
  const clip = (dec) => Math.max(-90, Math.min(90, dec));
  return `ralo=${low.toFixed(6)}&rahi=${high.toFixed(6)}` +
    `&declo=${clip(bounds.getSouth()).toFixed(6)}&dechi=${clip(bounds.getNorth()).toFixed(6)}`;
}

/** Show a line for some seconds. */
export function say(text) {
  const box = document.getElementById("message");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(box.timer);
  box.timer = setTimeout(() => (box.hidden = true), 6000);
}

import type { Profiler } from 'node:inspector';
import { relative } from 'node:path';

/** A function, called by what stands below it. */
interface Frame {
  name: string;
  place: string;
  samples: number;
  children: Map<string, Frame>;
}

const WIDTH = 1400;
const LINE = 18;
/** Narrower ones say nothing. */
const LEAST_WIDTH = 0.5;
const NOT_WORK = new Set(['(idle)', '(root)']);
const ROOT = new URL('../..', import.meta.url).pathname;

/** An SVG flame graph of a CPU profile, widths in samples, the callers below; idle time is left out. */
export function drawFlameGraph(profile: Profiler.Profile, title: string): string {
  const root = mergeFrames(profile);
  const depth = depthOf(root);
  const height = (depth + 2) * LINE;
  const boxes: string[] = [];
  const draw = (frame: Frame, x: number, level: number): void => {
    const width = (frame.samples / root.samples) * WIDTH;
    if (width < LEAST_WIDTH) return;
    boxes.push(boxOf(frame, x, height - (level + 1) * LINE, width, frame.samples / root.samples));
    let at = x;
    for (const child of [...frame.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      draw(child, at, level + 1);
      at += (child.samples / root.samples) * WIDTH;
    }
  };
  draw(root, 0, 0);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<text x="4" y="13">${escapeXml(title)}</text>
${boxes.join('\n')}
</svg>
`;
}

/** The call tree by name and place: V8 has a node for each way that a function was compiled. */
function mergeFrames(profile: Profiler.Profile): Frame {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const merge = (node: Profiler.ProfileNode, into: Frame): void => {
    for (const id of node.children ?? []) {
      const child = byId.get(id)!;
      const { functionName, url, lineNumber } = child.callFrame;
      if (NOT_WORK.has(functionName)) continue;
      const place = url === '' ? '' : `${relative(ROOT, url.replace('file://', ''))}:${lineNumber + 1}`;
      const key = `${functionName} ${place}`;
      let frame = into.children.get(key);
      if (frame === undefined) {
        frame = { name: functionName || '(anonymous)', place, samples: 0, children: new Map() };
        into.children.set(key, frame);
      }
      frame.samples += child.hitCount ?? 0;
      merge(child, frame);
    }
  };
  const root: Frame = { name: 'all', place: '', samples: 0, children: new Map() };
  merge(profile.nodes[0]!, root);
  addUp(root);
  return root;
}

/** From a function's own samples to those of all that it calls, too. */
function addUp(frame: Frame): number {
  for (const child of frame.children.values()) frame.samples += addUp(child);
  return frame.samples;
}

const depthOf = (frame: Frame): number => 1 + Math.max(0, ...[...frame.children.values()].map(depthOf));

function boxOf({ name, place }: Frame, x: number, y: number, width: number, share: number): string {
  const label = width < 30 ? '' : escapeXml(name.slice(0, Math.floor(width / 6.5)));
  const about = escapeXml(`${name} ${place} ${(share * 100).toFixed(1)} %`);
  return `<g><title>${about}</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${LINE - 1}" fill="${colorOf(place)}"/><text x="${(x + 3).toFixed(1)}" y="${y + 12}">${label}</text></g>`;
}

/** One colour a package. */
function colorOf(place: string): string {
  const group = /^(?:libs|services)\/([\w-]+)/.exec(place)?.[1] ?? (place === '' ? 'native' : 'node');
  let hash = 0;
  for (const char of group) hash = (hash * 31 + char.charCodeAt(0)) % 360;
  return `hsl(${hash} 65% 72%)`;
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
